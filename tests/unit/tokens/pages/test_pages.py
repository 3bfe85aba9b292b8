"""Who gets a page, and what a page may do."""

from __future__ import annotations

import pytest

from tests.unit.tokens.conftest import API

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Pages ask no store."""
    return sqlite_url


@pytest.mark.parametrize(("accept", "kind"), [
    (BROWSER, "text/html"), ("text/html", "text/html"), ("", "application/json"), ("*/*", "application/json"),
    ("application/json", "application/json"), ("application/json, text/html;q=0.5", "application/json"),
    ("text/*;q=0.3, */*", "application/json"),
])  # fmt: skip
def test_start_is_a_page_for_browsers_only(api: API, accept: str, kind: str) -> None:
    answer = api.get("/", {"Accept": accept})
    assert answer.status_code == 200 and answer.mimetype == kind
    assert "Accept" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "path", ["/", "/visitor", "/pages/archive.js", "/pages/visitor.js", "/pages/token.js", "/pages/style.css", "/pages/dates.js"]
)
def test_pages_run_only_their_own_code(api: API, path: str) -> None:
    answer = api.get(path, {"Accept": BROWSER})
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_parts_are_not_sent_twice(api: API) -> None:
    first = api.get("/pages/style.css")
    assert api.get("/pages/style.css", {"If-None-Match": first.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("name", ["archive.html", "none.js", "..%2fapp.py", "%2e%2e/app.py"])
def test_no_other_file(api: API, name: str) -> None:
    assert api.get(f"/pages/{name}").status_code == 404


@pytest.mark.parametrize(("prefix", "root"), [
    ("/tokens", "/tokens/"), ("/tokens/", "/tokens/"), ("/a/b-c", "/a/b-c/"), ("", "/"), ('/"><script>', "/"), ("//evil.example", "/"),
    ("https://evil.example", "/"), ("/a b", "/"),
])  # fmt: skip
def test_pages_know_where_they_are_mounted(api: API, prefix: str, root: str) -> None:
    text = api.get("/visitor", {"X-Forwarded-Prefix": prefix}).text
    assert f'data-root="{root}"' in text and f'href="{root}pages/style.css?v=' in text and "{{" not in text


def test_parts_are_kept_for_a_year_by_their_version(api: API) -> None:
    text = api.get("/visitor").text
    for name in ("style.css", "icon.svg", "visitor.js"):
        query = text.partition(f"/pages/{name}?")[2].partition('"')[0]
        assert api.client.get(f"/pages/{name}?{query}").headers["Cache-Control"] == "public, max-age=31536000, immutable"
        for other in ("", "?v=another"):
            assert api.client.get(f"/pages/{name}{other}").headers["Cache-Control"] == "no-cache"
