"""Who gets a page, what it may do, and that the library in it is the one that was published."""

from __future__ import annotations

import hashlib
import re

import pytest

from services.devices.pages.pages import FOLDER
from tests.unit.devices.conftest import API, refused, result

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
DEVICE = "0123456789abcdef01234567"


def test_programs_get_an_overview(sqlite_api: API) -> None:
    for accept in ("", "*/*", "application/json", "text/html;q=0.1, application/json"):
        answer = sqlite_api.get("/", None, headers={"Accept": accept})
        assert result(answer)["name"] == "Gatehouse devices"
        assert answer.headers["Vary"] == "Accept, X-Forwarded-Prefix"


@pytest.mark.parametrize("path", ["/", f"/view/{DEVICE}"])
def test_browsers_get_the_page(sqlite_api: API, path: str) -> None:
    answer = sqlite_api.get(path, None, headers={"Accept": BROWSER})
    assert (answer.status_code, answer.mimetype, answer.headers["Cache-Control"]) == (200, "text/html", "no-cache")
    assert f'href="{sqlite_api.parts.settings.auth_issuer}/account/tokens"' in answer.text
    assert "{{" not in answer.text and " style=" not in answer.text and "<style" not in answer.text
    assert re.findall(r"<script(?![^>]* src=)|\son\w+=|https?://(?!127\.0\.0\.1:8080/auth/)", answer.text) == []


@pytest.mark.parametrize("given", ["x", DEVICE[:-1], DEVICE.upper(), DEVICE + "0", "..%2fapp"])
def test_a_page_of_what_is_no_device_id(sqlite_api: API, given: str) -> None:
    refused(sqlite_api.get(f"/view/{given}", None, headers={"Accept": BROWSER}), 404, "Not found")


@pytest.mark.parametrize("path", ["/", *(f"/pages/{name}" for name in ("main.js", "dates.js", "style.css", "uplot.js", "uplot.css"))])
def test_the_page_runs_only_its_own_code(sqlite_api: API, path: str) -> None:
    answer = sqlite_api.get(path, None, headers={"Accept": BROWSER})
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("name", ["devices.html", "LICENSE", "README.md", "none.js", "..%2fpages.py", "uplot%2fuplot.js"])
def test_no_other_file(sqlite_api: API, name: str) -> None:
    refused(sqlite_api.get(f"/pages/{name}", None), 404, "Not found")


@pytest.mark.parametrize(("prefix", "root"), [("/devices", "/devices/"), ("", "/"), ('/"><script>', "/"), ("//evil.example", "/")])
def test_the_page_knows_where_it_is_mounted(sqlite_api: API, prefix: str, root: str) -> None:
    text = sqlite_api.get("/", None, headers={"Accept": BROWSER, "X-Forwarded-Prefix": prefix}).text
    assert f'data-root="{root}"' in text and f'src="{root}pages/main.js?v=' in text


def test_every_module_that_is_imported_is_there(sqlite_api: API) -> None:
    scripts = {path.name: path.read_text() for path in FOLDER.glob("*.js")}
    imported = {name for text in scripts.values() for name in re.findall(r'from "\./([\w.]+)"', text)}
    assert imported - scripts.keys() == {"dates.js"}
    assert all(sqlite_api.get(f"/pages/{name}", None).status_code == 200 for name in imported)


@pytest.mark.parametrize(("name", "digest"), [
    ("uplot.js", "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"),
    ("uplot.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
])  # fmt: skip
def test_the_library_is_as_it_was_published(name: str, digest: str) -> None:
    assert hashlib.sha256((FOLDER / "uplot" / name).read_bytes()).hexdigest() == digest
    assert "MIT" in (FOLDER / "uplot" / "LICENSE").read_text()
