"""The pages of auth in a real browser, straight and behind the gateway's `/auth/`, with scripts and without, by mouse and by keyboard."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.gateway import definition, gateway
from tests.support.processes import running

pytestmark = pytest.mark.browser

ADMIN = "admin@gatehouse.local"
PASSWORD = "correct horse battery"
SERVICE = ("sessions", "the-secret-of-the-sessions-service")
VERIFIER = "a-verifier-of-at-least-forty-three-characters-1234"


class House:
    """Where the browser goes (`url`) and where the service itself is (`direct`). starts: headings of the gateway's pages by address."""

    def __init__(self, url: str, direct: str, starts: dict[str, str]) -> None:
        self.url, self.direct, self.starts = url, direct, starts

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        return requests.request(method, self.url + path, json=body, timeout=20, **options)

    def verify(self, token: str) -> requests.Response:
        return requests.post(self.direct + "/verify/token", json={"token": token}, auth=SERVICE, timeout=20)


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("auth-pages")
    env = {
        "AUTH_DATABASE_URL": f"sqlite:///{folder}/auth.db",
        "AUTH_DATA": str(folder / "auth"),
        "AUTH_ADMIN_PASSWORD": PASSWORD,
        "AUTH_SERVICE_CLIENTS": "=".join(SERVICE),
        "AUTH_ARGON2_MEMORY_KIB": "8192",
    }
    with running("auth", env, folder) as (url, _):
        yield url


@pytest.fixture(scope="module", params=["straight", "behind the gateway"])
def house(request: pytest.FixtureRequest, direct: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if request.param == "straight":
        yield House(direct, direct, {})
        return
    with gateway(tmp_path_factory.mktemp("gateway"), [definition("auth", f"{direct}/")]) as proxy:
        starts = {f"{proxy.url}/": "Nothing listens here", f"{proxy.operator_url}/": "The operator's port"}
        yield House(f"{proxy.url}/auth", direct, starts)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    binary = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def context(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(java_script_enabled=request.param)
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


_people = iter(range(1_000_000))


@pytest.fixture
def person(house: House) -> str:
    """A user of this test alone, with PASSWORD."""
    email = f"person{next(_people)}@example.org"
    body = {"email": email, "password": PASSWORD, "domain": "gatehouse", "full_name": "Ada"}
    assert house.ask("POST", "/users", body, auth=(ADMIN, PASSWORD)).status_code == 201
    return email


def sign_in(page: Page, house: House, email: str, password: str = PASSWORD, path: str = "/account") -> None:
    page.goto(house.url + path)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password or login key").fill(password)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()


def test_signing_in_and_out(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person)
    expect(page.get_by_role("heading", level=1)).to_have_text("My account")
    assert page.url == house.url + "/account"
    expect(page.get_by_label("Full name")).to_have_value("Ada")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto(house.url + "/account")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_wrong_password(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person, "a wrong password")
    expect(page.get_by_role("alert")).to_contain_text("E-mail or password is not right.")
    expect(page.get_by_label("E-mail")).to_have_value(person)
    expect(page.get_by_label("Password or login key")).to_have_value("")
    sign_in(page, house, person)
    expect(page.get_by_role("heading", level=1)).to_have_text("My account")


def test_signing_in_leads_back_to_the_page_that_was_asked_for(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person, path="/account/tokens")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tokens")


def test_by_keyboard_alone(page: Page, house: House, person: str) -> None:
    page.goto(house.url + "/account")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(person)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("My account")


def test_signing_out_in_two_tabs(context: BrowserContext, page: Page, house: House, person: str) -> None:
    sign_in(page, house, person)
    other = context.new_page()
    other.goto(house.url + "/account/tokens")
    page.get_by_role("button", name="Sign out").click()
    other.get_by_role("button", name="Sign out").click()
    other.get_by_label("E-mail").fill(person)
    other.get_by_label("Password or login key").fill(PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("My account")


def test_the_profile(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person)
    page.get_by_label("Full name").fill("Ada <b>Lovelace</b>")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Your profile was saved.")
    expect(page.get_by_label("Full name")).to_have_value("Ada <b>Lovelace</b>")
    page.get_by_label("E-mail").fill("nonsense")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("E-mail")).to_be_focused()
    expect(page.get_by_label("E-mail")).to_have_accessible_description("Not a valid e-mail address.")


def test_the_password(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person)
    page.get_by_role("link", name="Password").click()
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_label("New password")).to_be_focused()
    expect(page.get_by_label("New password")).to_have_accessible_description(re.compile("Shorter than 12 characters."))
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("another horse battery")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("status")).to_contain_text("The password was changed.")
    assert house.ask("POST", "/login", {"email": person, "password": "another horse battery"}).status_code == 200


def test_the_login_key(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person)
    page.get_by_role("link", name="Login key").click()
    page.get_by_role("button", name="Make a key").click()
    key = page.get_by_label("The secret").input_value()
    assert house.ask("GET", "/me", auth=(person, key)).status_code == 200
    page.reload()
    expect(page.get_by_label("The secret")).to_have_count(0)
    page.get_by_role("link", name="Remove the key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Remove your login key?")
    page.get_by_role("link", name="Cancel").click()
    assert house.ask("GET", "/me", auth=(person, key)).status_code == 200
    page.get_by_role("link", name="Remove the key").click()
    page.get_by_role("button", name="Remove the key").click()
    expect(page.get_by_role("status")).to_have_text("Your login key was removed.")
    expect(page.get_by_text("You have no login key.")).to_be_visible()
    assert house.ask("GET", "/me", auth=(person, key)).status_code == 401


def test_tokens(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person, path="/account/tokens")
    page.get_by_label("Label").fill("Greenhouse")
    page.get_by_label("Kind").select_option("Analysis")
    page.get_by_label("Permission").select_option("Read only")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_label("Access policy")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Access policy")).to_be_focused()
    expect(page.get_by_label("Label")).to_have_value("Greenhouse")
    expect(page.get_by_label("Ends")).to_have_value(str(30 * 24 * 3600))
    page.get_by_label("Access policy").fill("device: access, edit")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("status").first).to_contain_text("The token “Greenhouse” was made.")
    first = page.get_by_label("The secret").input_value()
    assert house.verify(first).json()["policy"] == [{"resource": "device", "actions": ["access", "edit"]}]
    page.reload()  # sends nothing again
    expect(page.get_by_role("region", name="Greenhouse")).to_have_count(1)
    expect(page.get_by_label("The secret")).to_have_count(0)
    page.get_by_role("link", name="Replace the token “Greenhouse”").click()
    assert house.verify(first).status_code == 200
    page.get_by_role("button", name="Replace the token").click()
    expect(page.get_by_role("status").first).to_contain_text("The token “Greenhouse” was replaced.")
    second = page.get_by_label("The secret").input_value()
    assert (house.verify(first).status_code, house.verify(second).status_code) == (401, 200)
    page.get_by_role("link", name="Remove the token “Greenhouse”").click()
    assert house.verify(second).status_code == 200
    page.get_by_role("button", name="Remove the token").click()
    expect(page.get_by_role("status")).to_have_text("The token “Greenhouse” was removed.")
    expect(page.get_by_text("You have none.")).to_be_visible()
    assert house.verify(second).status_code == 401


def test_a_secret_is_copied(context: BrowserContext, page: Page, house: House, person: str) -> None:
    """By the button, with the keyboard; without scripts, or where copying is not allowed, the secret is selected when one comes to it."""
    sign_in(page, house, person, path="/account/tokens")
    page.get_by_label("Label").fill("Shed")
    page.get_by_role("button", name="Make the token").click()
    field = page.get_by_label("The secret")
    secret = field.input_value()
    button = page.get_by_role("button", name="Copy")
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Tab")
    expect(field).to_be_focused()
    if button.count() == 0:
        page.keyboard.press("ControlOrMeta+c")
        page.get_by_label("Label").focus()
        page.keyboard.press("ControlOrMeta+v")
        expect(page.get_by_label("Label")).to_have_value(secret)
        return
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    expect(button).to_be_focused()
    page.evaluate("navigator.clipboard.writeText('')")
    page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject())")  # as without TLS
    page.keyboard.press("Enter")
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret


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


def request_of(client_id: str, back: str) -> dict[str, str]:
    """What an application asks with."""
    asked = {"response_type": "code", "client_id": client_id, "redirect_uri": back, "scope": "openid profile email", "state": "s-1"}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    return {**asked, "code_challenge": challenge, "code_challenge_method": "S256"}


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


PAGES = [
    "/account/sign-in", "/", "/account", "/account/password", "/account/login-key", "/account/login-key/remove", "/account/tokens",
]  # fmt: skip


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_readable(chromium: Browser, house: House, person: str, width: int, scheme: Any) -> None:
    """No sideways scrolling on a small telephone, text of enough contrast (WCAG 2.2: 4.5), every field and button has a name."""
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text) if message.type in ("error", "warning") else None)
    page.goto(house.url + PAGES[0])
    _check(page)
    sign_in(page, house, person)
    back = "https://" + "long-" * 20 + "name.example.org/back"
    client = {"name": "A" * 100, "redirect_uris": [back], "public": True}
    client_id = house.ask("POST", "/clients", client, auth=(ADMIN, PASSWORD)).json()["client_id"]
    for path in [*PAGES[1:], "/oauth/authorize?" + urlencode(request_of(client_id, back))]:
        page.goto(house.url + path)
        _check(page)
    page.goto(house.url + "/account/tokens")
    page.get_by_label("Label").fill("averylongwordwithoutablank" * 3)
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    _check(page)
    page.get_by_role("link", name="Remove the token").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Remove the token")
    _check(page)
    assert messages == []
    for address, heading in house.starts.items():
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(page.locator("header")).to_have_css("display", "flex")
        _check(page)
    assert [text for text in messages if "404" not in text] == []
    context.close()


def _check(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator("h1").count() == page.locator("main").count() == 1
    nameless = page.evaluate(
        """[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a')]
           .filter(e => !(e.labels?.length || e.textContent.trim())).map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate(CONTRAST) == []


# the texts whose contrast to the nearest painted background is below 4.5
CONTRAST = """
(() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const linear = value => (value /= 255) <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const luminance = colour => { const [r, g, b] = numbers(colour).map(linear); return .2126 * r + .7152 * g + .0722 * b; };
  const background = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (numbers(colour).length < 4 || numbers(colour)[3] > 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const contrast = element => {
    const [low, high] = [luminance(getComputedStyle(element).color), luminance(background(element))].sort((a, b) => a - b);
    return (high + .05) / (low + .05);
  };
  return [...document.querySelectorAll('body *')]
    .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()))
    .filter(element => element.getClientRects().length && contrast(element) < 4.5)
    .map(element => element.outerHTML.slice(0, 120));
})()
"""


def test_a_screenshot_for_the_documentation(chromium: Browser, house: House, person: str, tmp_path: Path) -> None:
    """The style sheet is there and counts: the page is not the browser's bare default."""
    page = chromium.new_page()
    sign_in(page, house, person, path="/account/tokens")
    expect(page.locator(".card").first).to_have_css("border-radius", "8px")
    picture = tmp_path / "tokens.png"
    page.screenshot(path=str(picture), full_page=True)
    assert picture.stat().st_size > 10_000
    page.close()
