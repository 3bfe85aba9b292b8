"""What the pages of all services share: who gets one, how dates are written, files that are kept, a page in one piece."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re

import pytest
from flask import Flask

from services.common.pages import assets, dates
from services.common.pages.assets import FOLDER, Assets
from services.common.pages.negotiation import prefers_html
from services.common.pages.standalone import page


@pytest.mark.parametrize(("accept", "html"), [
    ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", True), ("text/html", True), ("TEXT/HTML ; Q=0.5", True),
    ("text/*", True), ("text/html;level=1;q=0.9, application/json;q=0.8", True),
    ("", False), ("*/*", False), ("application/json", False), ("application/json, text/html;q=0.5", False), ("text/*;q=0.3, */*", False),
    ("text/html;q=0", False), ("text/html, application/json", False), (",;,q=1;;", False), ("text/html;q=x, */*;q=1.0", False),
    ("a," * 100_000 + "text/html", False),
])  # fmt: skip
def test_who_gets_a_page(accept: str, html: bool) -> None:
    assert prefers_html(accept) is html


def test_one_way_to_write_a_moment() -> None:
    moment = dt.datetime(2026, 11, 29, 11, 15, 59, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert dates.shown(moment) == "29 Nov 2026, 10:15 UTC"
    assert str(dates.element(moment)) == '<time datetime="2026-11-29T10:15:59Z">29 Nov 2026, 10:15 UTC</time>'
    assert str(dates.element(None)) == "never"
    assert str(dates.element(None, "<b>")) == "&lt;b&gt;"
    assert dates.shown(dt.datetime(999, 1, 2, 3, 4, tzinfo=dt.UTC)) == "2 Jan 999, 03:04 UTC"


def test_scripts_write_the_same_months() -> None:
    script = (FOLDER / "dates.js").read_text()
    assert re.findall(r'"(\w{3})"', script.partition("MONTHS = [")[2].partition("]")[0]) == list(dates._MONTHS)


def test_files_are_kept_by_their_version() -> None:
    app = Flask("pages")
    files = Assets("/x/assets")
    assets.register(app, files)
    client = app.test_client()
    address = files.address("style.css", "/auth")
    assert re.fullmatch(r"/auth/x/assets/style\.css\?v=[0-9a-f]{12}", address)
    kept = client.get(address.removeprefix("/auth"))
    assert (kept.status_code, kept.content_type) == (200, "text/css; charset=utf-8")
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get("/x/assets/style.css?v=older").headers["Cache-Control"] == "no-cache"
    assert client.get("/x/assets/style.css", headers={"If-None-Match": kept.headers["ETag"]}).status_code == 304
    for name in ("assets.py", "frame.html", "..%2fapp.py", "none.css"):
        assert client.get(f"/x/assets/{name}").status_code == 404


def test_the_style_sheet_does_not_ask_for_motion_or_other_sites() -> None:
    style = (FOLDER / "style.css").read_text()
    assert not re.search(r"url\(|@import|animation|transition|scroll-behavior", style)


def test_a_page_in_one_piece_allows_its_own_style_alone() -> None:
    content, policy = page("<Title>", "<p>Text</p>", brand="A & B")
    text = content.decode()
    assert "<h1>&lt;Title&gt;</h1>" in text
    assert "<title>&lt;Title&gt; – A &amp; B</title>" in text
    style = re.search("<style>(.*)</style>", text, re.DOTALL)
    assert style is not None
    assert f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()}'" in policy
    assert "script" not in policy.replace("default-src", "") and "<script" not in text
