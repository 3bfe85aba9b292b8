"""Somebody plants a cookie in another one's browser, from a host beside ours or on the way without TLS: he gains nothing by it."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.unit.auth.browsing import Browser, client_of, request_of, send
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth

MALLORY = "mallory@example.org"
TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "id.example.org", "X-Forwarded-Prefix": "/auth"}


@pytest.fixture
def mallory(auth: Auth, admin: str) -> Browser:
    """Has an account, too, and its form of the sign-in page with its visit cookie."""
    auth.add_user(MALLORY, admin)
    return Browser(auth)


def cookie_of(browser: Browser, name: str) -> str:
    cookie = browser.client.get_cookie(name)
    assert cookie is not None
    return cookie.value


FROM_ELSEWHERE = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.org"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://other.example.org"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example.org"},
    {"Origin": "http://localhost:8080"},
    {"Origin": "null"},
    {"Origin": "http://[::1"},
    {"Origin": "http://localhost@evil.example.org"},
    {"Origin": "localhost"},
]
FROM_HERE: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://localhost"},
    {"Origin": "https://localhost"},  # TLS ends before the gateway, which does not know
    {"Origin": "http://127.0.0.1:8080"},  # the public address of the settings
]


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_a_planted_visit_cookie_signs_nobody_in(auth: Auth, mallory: Browser, headers: dict[str, str]) -> None:
    """The page of an attacker sends the sign-in form with his own account, his own visit cookie and the token that belongs to it."""
    form = {"csrf": mallory.csrf("/account/sign-in"), "email": MALLORY, "password": PASSWORD}
    for victim in (Browser(auth), signed_in(auth)):
        before = victim.client.get("/account").text
        victim.client.set_cookie("gatehouse_visit", cookie_of(mallory, "gatehouse_visit"))
        answer = victim.client.post("/account/sign-in", data=form, headers=headers)
        assert answer.status_code == 403
        assert "gatehouse_session" not in answer.headers.get("Set-Cookie", "")
        assert victim.client.get("/account").text == before


def signed_in(auth: Auth) -> Browser:
    browser = Browser(auth)
    assert browser.sign_in().status_code == 303
    return browser


@pytest.mark.parametrize("headers", FROM_HERE)
def test_our_own_forms_are_sent(auth: Auth, headers: dict[str, str]) -> None:
    browser = Browser(auth)
    form = {"csrf": browser.csrf("/account/sign-in"), "email": ADMIN, "password": PASSWORD}
    assert browser.client.post("/account/sign-in", data=form, headers=headers).status_code == 303
    csrf = browser.csrf("/account")
    assert browser.client.post("/account", data={"csrf": csrf, "full_name": "A", "email": ADMIN}, headers=headers).status_code == 303


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_no_other_form_is_sent_from_elsewhere_either(auth: Auth, admin: str, headers: dict[str, str]) -> None:
    browser = signed_in(auth)
    csrf = browser.csrf("/account")
    for path in ("/account", "/account/sign-out", "/account/password", "/account/login-key", "/account/tokens"):
        assert browser.client.post(path, data={"csrf": csrf}, headers=headers).status_code == 403, path
    query = request_of(client_of(auth, admin))
    answer = browser.client.post("/oauth/authorize", query_string=query, data={"csrf": csrf, "decision": "allow"}, headers=headers)
    assert (answer.status_code, answer.headers.get("Location")) == (403, None)


def test_who_knows_the_visit_cookie_is_not_signed_in_with_the_victim(auth: Auth, mallory: Browser) -> None:
    csrf = mallory.csrf("/account/sign-in")
    visit = cookie_of(mallory, "gatehouse_visit")
    victim = Browser(auth)
    victim.client.set_cookie("gatehouse_visit", visit)
    assert victim.sign_in().status_code == 303
    assert cookie_of(victim, "gatehouse_session") != visit
    assert mallory.client.get("/account").status_code == 303
    # nor does its token do for a form of the victim
    assert victim.client.post("/account", data={"csrf": csrf, "full_name": "x", "email": MALLORY}).status_code == 403


def test_a_planted_session_is_not_the_victims(auth: Auth, mallory: Browser) -> None:
    """A new session at every change of who is signed in; the planted one ends."""
    assert mallory.sign_in(MALLORY).status_code == 303
    planted = cookie_of(mallory, "gatehouse_session")
    victim = Browser(auth)
    csrf = victim.csrf("/account/sign-in")
    victim.client.set_cookie("gatehouse_session", planted)
    form = {"csrf": csrf, "email": ADMIN, "password": PASSWORD}
    assert victim.client.post("/account/sign-in", data=form).status_code == 303
    first = cookie_of(victim, "gatehouse_session")
    assert first != planted
    assert ADMIN in victim.client.get("/account").text
    assert mallory.client.get("/account").status_code == 303
    assert send(victim, "/account", "/account/sign-out").status_code == 303
    assert victim.client.get_cookie("gatehouse_visit") is None
    assert victim.sign_in().status_code == 303
    assert cookie_of(victim, "gatehouse_session") != first


def test_an_invented_session_is_never_taken_over(auth: Auth) -> None:
    browser = Browser(auth)
    invented = "gh_web_" + "0" * 49
    browser.client.set_cookie("gatehouse_session", invented)
    assert browser.sign_in().status_code == 303
    assert cookie_of(browser, "gatehouse_session") != invented


@pytest.mark.parametrize("planted_first", [True, False])
def test_of_two_session_cookies_neither_counts(auth: Auth, mallory: Browser, planted_first: bool) -> None:
    """A browser sends both, the one for the longer path first, and nothing says who set which."""
    mallory.sign_in(MALLORY)
    victim = signed_in(auth)
    csrf = victim.csrf("/account")
    pair = [f"gatehouse_session={cookie_of(one, 'gatehouse_session')}" for one in (mallory, victim)]
    client = auth.app.test_client(use_cookies=False)
    both = {"Cookie": "; ".join(pair if planted_first else pair[::-1])}
    answer = client.get("/account", headers=both)
    assert answer.location == "/account/sign-in?next=%2Faccount"
    assert "Delete the cookies of this site" in client.get(answer.location, headers=both).text
    assert client.post("/account", data={"csrf": csrf, "full_name": "x", "email": MALLORY}, headers=both).status_code == 303
    again = {"Cookie": f"{pair[1]}; {pair[1]}"}
    assert client.get("/account", headers=again).status_code == 200


def test_of_two_visit_cookies_neither_counts(auth: Auth, mallory: Browser) -> None:
    csrf = mallory.csrf("/account/sign-in")
    both = {"Cookie": f"gatehouse_visit={cookie_of(mallory, 'gatehouse_visit')}; gatehouse_visit={'x' * 32}"}
    form = {"csrf": csrf, "email": MALLORY, "password": PASSWORD}
    answer = auth.app.test_client(use_cookies=False).post("/account/sign-in", data=form, headers=both)
    assert answer.status_code == 403
    assert "Delete its cookies" in answer.text


class Secure:
    """A browser behind a gateway with TLS; its cookies are sent by hand, as a planted one would be."""

    def __init__(self, auth: Auth) -> None:
        self.client = auth.app.test_client(use_cookies=False)

    def ask(self, method: str, path: str, cookies: dict[str, str], **options: Any) -> TestResponse:
        sent = {**TLS, "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        return self.client.open(path, method=method, headers=sent, environ_overrides={"REMOTE_ADDR": "127.0.0.1"}, **options)

    @staticmethod
    def set_by(answer: TestResponse) -> dict[str, tuple[str, set[str]]]:
        """Name → (value, attributes) of every cookie."""
        found = {}
        for line in answer.headers.getlist("Set-Cookie"):
            pair, *attributes = line.split("; ")
            name, _, value = pair.partition("=")
            found[name] = (value, {one for one in attributes if not one.startswith("Expires=")})
        return found


def test_with_tls_no_other_host_can_set_the_cookies(auth: Auth, mallory: Browser) -> None:
    browser = Secure(auth)
    page = browser.ask("GET", "/account/sign-in", {})
    visit = browser.set_by(page)["__Host-gatehouse_visit"][0]
    csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    form = {"csrf": csrf, "email": ADMIN, "password": PASSWORD}
    # planted by a host beside ours: that one cannot take the prefix, and without it nothing is read
    mallory.csrf("/account/sign-in")
    mallory.sign_in(MALLORY)
    planted = {f"gatehouse_{one}": cookie_of(mallory, f"gatehouse_{one}") for one in ("session", "visit", "device")}
    assert browser.ask("GET", "/account", planted).status_code == 303
    answer = browser.ask("POST", "/account/sign-in", {**planted, "__Host-gatehouse_visit": visit}, data=form)
    assert answer.status_code == 303
    made = browser.set_by(answer)
    assert set(made) == {"__Host-gatehouse_session", "__Host-gatehouse_device"}
    for _, attributes in made.values():
        assert attributes == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
    kept = {name: value for name, (value, _) in made.items()}
    assert ADMIN in browser.ask("GET", "/account", {**planted, **kept}).text
    assert ADMIN not in browser.ask("GET", "/account", {"gatehouse_session": kept["__Host-gatehouse_session"]}).text
    csrf = browser.ask("GET", "/account", kept).text.partition('name="csrf" value="')[2].partition('"')[0]
    ended = browser.set_by(browser.ask("POST", "/account/sign-out", kept, data={"csrf": csrf}))
    assert {name: value for name, (value, _) in ended.items()} == {"__Host-gatehouse_session": "", "__Host-gatehouse_visit": ""}
    for _, attributes in ended.values():
        assert {"Path=/", "Secure"} <= attributes


@pytest.mark.parametrize(("origin", "status"), [("https://id.example.org", 303), ("https://evil.example.org", 403)])
def test_the_host_is_the_one_that_the_browser_sees(auth: Auth, origin: str, status: int) -> None:
    browser = Secure(auth)
    page = browser.ask("GET", "/account/sign-in", {})
    csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    visit = browser.set_by(page)["__Host-gatehouse_visit"][0]
    answer = browser.client.post(
        "/account/sign-in",
        data={"csrf": csrf, "email": ADMIN, "password": PASSWORD},
        headers={**TLS, "Origin": origin, "Cookie": f"__Host-gatehouse_visit={visit}"},
        environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
    )
    assert answer.status_code == status


def test_without_tls_the_cookies_are_for_this_host_and_path(auth: Auth) -> None:
    browser = Browser(auth)
    made = Secure.set_by(browser.sign_in())
    assert set(made) == {"gatehouse_session", "gatehouse_device"}
    for _, attributes in made.values():
        assert attributes == {"Path=/", "HttpOnly", "SameSite=Lax"}
