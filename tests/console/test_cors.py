"""Pages of two origins that call an API behind the gateway, in a real browser: what one may read, and the other may not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.gateway import Gateway, definition, gateway

FETCH = """async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        const body = await answer.json();
        return [answer.status, body.error || body, answer.headers.get("X-Shown"), answer.headers.get("X-Hidden")];
    } catch (error) {
        return error.name;
    }
}"""
REFUSED_BY_BROWSER = "TypeError"


class Site:
    """A server of an empty page and, for the gateway, of what it was asked. It says of itself that every page may read it."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = self.path.endswith("page")
                body = b"<title>a page</title>" if page else json.dumps([self.command, self.headers.get("X-Custom")]).encode()
                self.send_response(200)
                said = {"Content-Type": "text/html" if page else "application/json", "Content-Length": str(len(body))}
                for name, value in {**said, "Access-Control-Allow-Origin": "*", "X-Shown": "a", "X-Hidden": "b"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_DELETE = do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def sites() -> Iterator[tuple[Site, Site]]:
    """Of the page that may use the APIs, and of a foreign one."""
    both = (Site(), Site())
    yield both
    for one in both:
        one.close()


@pytest.fixture(scope="module")
def running(sites: tuple[Site, Site], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    own, _ = sites
    auth = {"auth_header_name": "x-key", "use_cookie": True, "cookie_name": "key"}
    cors = {"enable": True, "allowed_origins": [own.origin]}
    listed = {"allowed_methods": ["GET", "DELETE"], "allowed_headers": ["X-Custom", "X-Key"], "exposed_headers": ["X-Shown"], "max_age": 5}
    apis = [
        definition("keyed", f"{own.origin}/", use_keyless=False, auth=auth, CORS={**cors, **listed}),
        definition("with", f"{own.origin}/", use_keyless=False, auth=auth, CORS={**cors, **listed, "allow_credentials": True}),
        definition("open", f"{own.origin}/", CORS={"enable": True}),
    ]
    with gateway(tmp_path_factory.mktemp("cors"), apis) as house:
        rights = {name: {"versions": ["Default"]} for name in ("keyed", "with")}
        status, answer = house.operator("POST", "/tyk/keys/the-key", {"access_rights": rights})
        assert status == 200, answer
        yield house


@pytest.fixture
def pages(chromium: Browser, sites: tuple[Site, Site]) -> Iterator[tuple[Page, Page]]:
    """One page of each site, in the same browser."""
    context = chromium.new_context()
    both = (context.new_page(), context.new_page())
    for page, site in zip(both, sites, strict=True):
        page.goto(f"{site.origin}/page")
    yield both
    context.close()


def fetch(page: Page, url: str, **options: Any) -> Any:
    return page.evaluate(FETCH, [url, options])


def test_only_the_own_page_reads_answers(running: Gateway, pages: tuple[Page, Page]) -> None:
    own, foreign = pages
    url = f"{running.url}/keyed/a"
    asked: dict[str, Any] = {"method": "DELETE", "headers": {"X-Key": "the-key", "X-Custom": "c"}}
    assert fetch(own, url, **asked) == [200, ["DELETE", "c"], "a", None]
    assert fetch(foreign, url, **asked) == REFUSED_BY_BROWSER
    assert fetch(own, url, headers={"X-Other": "c"}) == REFUSED_BY_BROWSER, "the header is not among the allowed ones"
    assert fetch(own, url, method="PATCH") == REFUSED_BY_BROWSER


def test_the_own_page_reads_why_it_was_refused(running: Gateway, pages: tuple[Page, Page]) -> None:
    own, foreign = pages
    url = f"{running.url}/keyed/a"
    assert fetch(own, url)[:2] == [401, "Authorization field missing"]
    assert fetch(own, url, headers={"X-Key": "wrong"})[:2] == [403, "Access to this API has been disallowed"]
    assert fetch(foreign, url) == REFUSED_BY_BROWSER


def test_cookies(running: Gateway, pages: tuple[Page, Page]) -> None:
    """They go with requests of all pages of a site; only the own page may read the answer, and only where the definition says so."""
    own, foreign = pages
    own.context.add_cookies([{"name": "key", "value": "the-key", "url": running.url}])
    assert fetch(own, f"{running.url}/with/a", credentials="include")[:2] == [200, ["GET", None]]
    assert fetch(own, f"{running.url}/with/a", credentials="omit")[0] == 401
    assert fetch(own, f"{running.url}/keyed/a", credentials="include") == REFUSED_BY_BROWSER
    assert fetch(foreign, f"{running.url}/with/a", credentials="include") == REFUSED_BY_BROWSER


def test_an_api_for_all_pages(running: Gateway, pages: tuple[Page, Page]) -> None:
    """The upstream says so, too: a browser that saw both would refuse them."""
    for page in pages:
        assert fetch(page, f"{running.url}/open/a", method="POST") == [200, ["POST", None], None, None]
