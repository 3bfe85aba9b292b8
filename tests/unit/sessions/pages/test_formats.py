"""Which format an answer has: `f`, else Accept, else what was sent; and how errors look."""

from __future__ import annotations

import pytest
from flask import Flask, request

from services.common.refusal import Refusal
from services.sessions.formats import CSV, GEOJSON, HTML, JSON, TJSON, chosen, wants_page
from tests.unit.sessions.conftest import API, refused
from tests.unit.sessions.pages.test_pages import BROWSER, EVENTS, page

ALL = (HTML, JSON, TJSON, CSV, GEOJSON)
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"


def choose(accept: str | None, query: str = "", known: tuple[str, ...] = ALL, *, method: str = "GET", sent: str = "") -> str:
    headers = {} if accept is None else {"Accept": accept}
    with Flask("f").test_request_context(f"/{query}", method=method, headers=headers, content_type=sent or None):
        return chosen(request, known)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, HTML),
        ("*/*", HTML),
        ("", HTML),
        (BROWSER, HTML),
        (JAVA, HTML),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json, text/plain, */*", JSON),
        ("application/json;q=0.5, text/html;q=0.4", JSON),
        ("application/json;q=0.5, text/html;q=0.6", HTML),
        ("application/json;q=0, */*", HTML),
        ("text/html;q=0, */*;q=0.1", JSON),
        ("application/json; charset=utf-8", JSON),
        ("text/csv", CSV),
        ("application/geo+json, application/json;q=0.9", GEOJSON),
        ("application/*", JSON),
        ("application/json;q=nonsense", JSON),
        ("application/json;q=1e5", JSON),
    ],
)
def test_accept(accept: str | None, expected: str) -> None:
    assert choose(accept) == expected


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0", "application/xml"])
def test_what_accept_cannot_have_is_refused(accept: str) -> None:
    with pytest.raises(Refusal) as refusal:
        choose(accept)
    assert refusal.value.status == 406


def test_f_goes_before_accept() -> None:
    assert choose(BROWSER, "?f=json") == JSON
    assert choose("application/json", "?f=HTML") == HTML
    assert choose("application/json", "?f=TJSON") == TJSON
    assert choose(BROWSER, "?f=") == HTML
    assert choose(BROWSER, "?f=JSON&f=json&f=") == JSON
    for query, status in (("?f=WEIRD", 406), ("?f=JSON&f=HTML", 400), ("?f=%00", 406), ("?f=ﬁ", 406)):
        with pytest.raises(Refusal) as refusal:
            choose(None, query)
        assert refusal.value.status == status


def test_who_sends_json_gets_json() -> None:
    assert choose("*/*", method="POST", sent="application/json") == JSON
    assert choose(None, method="POST", sent="application/json; charset=utf-8") == JSON
    assert choose(BROWSER, method="POST", sent="application/json") == HTML
    assert choose("*/*", method="POST", sent="application/x-www-form-urlencoded") == HTML
    assert choose("*/*", known=(JSON,)) == JSON


@pytest.mark.parametrize(
    ("accept", "query", "expected"),
    [(BROWSER, "", True), (BROWSER, "?f=JSON", False), (BROWSER, "?f=WEIRD", True), ("*/*", "", False), ("*/*", "?f=HTML", True),
     ("application/json", "", False), (JAVA, "", True), ("", "", False)],
)  # fmt: skip
def test_errors_are_pages_for_browsers_only(accept: str, query: str, expected: bool) -> None:
    with Flask("f").test_request_context(f"/{query}", headers={"Accept": accept}):
        assert wants_page(request) is expected


def test_errors_of_all_sorts(api: API) -> None:
    refused(api.get("/api/event/io/", "host", f="WEIRD"), 406, "This address has no such format. It has: HTML, JSON.")
    event = f"{EVENTS}CREATE_NEW_PROJECT/"
    refused(api.send("POST", event, "edit", data=b"<x/>", content_type="application/xml", headers={"Accept": "*/*"}), 415, "Send JSON")
    refused(api.send("POST", f"{event}?f=JSON", "edit", data=b" " * (1024 * 1024 + 1)), 413, "body too large")
    answer = api.send("POST", event, "edit", data={"name": "x" * (1024 * 1024)}, headers={"Accept": BROWSER})
    assert page(answer, 413).heading.startswith("413")
    answer = api.send("POST", event, "edit", data=b"x", content_type="text/plain", headers={"Accept": BROWSER})
    assert page(answer, 415).heading == "415 Unsupported Media Type"


def test_an_error_of_the_service_shows_nothing_of_its_inside(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(api.parts.projects, "create", broken)
    answer = api.send("POST", f"{EVENTS}CREATE_NEW_PROJECT/", "edit", data={"name": "demo"}, headers={"Accept": BROWSER})
    assert page(answer, 500).heading == "500 Internal Server Error"
    assert "secret" not in answer.text
    refused(api.io("CREATE_NEW_PROJECT", "edit", "demo"), 500, "internal error")
