"""The consent page in a real browser: an application on this machine asks, a person allows it or not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.console.browsing import ADMIN, PASSWORD, VERIFIER, House, request_of, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture(params=["127.0.0.1", "::1"])
def application(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An application's address to be sent back to, and what it was sent."""
    seen: list[dict[str, str]] = []

    class Back(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/back?"):
                seen.append({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
            body = b"<!doctype html><title>App</title><h1>Back at the application</h1>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in request.param else socket.AF_INET

    try:
        server = Server((request.param, 0), Back)
    except OSError as error:
        pytest.skip(f"this machine has no {request.param}: {error}")
    host = f"[{request.param}]" if ":" in request.param else request.param
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://{host}:{server.server_address[1]}/back", seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_consent(page: Page, house: House, person: str, application: tuple[str, list[dict[str, str]]]) -> None:
    back, seen = application
    client = house.ask("POST", "/clients", {"name": "Garden app", "redirect_uris": [back], "public": True}, auth=(ADMIN, PASSWORD)).json()
    query = request_of(client["client_id"], back)
    sign_in(page, house, person, path="/oauth/authorize?" + urlencode(query))
    expect(page.get_by_role("heading", level=1)).to_have_text("Allow Garden app?")
    expect(page.get_by_role("listitem")).to_have_text(["Know that it is you", "See your name", "See your e-mail address"])
    page.get_by_role("button", name="Allow", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Back at the application")
    assert seen[-1]["state"] == "s-1"
    form = {
        "grant_type": "authorization_code",
        "code": seen[-1]["code"],
        "redirect_uri": back,
        "client_id": client["client_id"],
        "code_verifier": VERIFIER,
    }
    tokens = requests.post(house.url + "/oauth/token", data=form, timeout=20)
    assert tokens.status_code == 200, tokens.text
    me = house.ask("GET", "/me", headers={"Authorization": f"Bearer {tokens.json()['access_token']}"})
    assert me.json()["email"] == person

    page.goto(house.url + "/oauth/authorize?" + urlencode(query))
    page.get_by_role("button", name="Do not allow").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Back at the application")
    assert seen[-1]["error"] == "access_denied"

    page.goto(house.url + "/oauth/authorize?" + urlencode({**query, "redirect_uri": "http://127.0.0.1:1/evil"}))
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.url.startswith(house.url)
