"""The pages in process: forms, where they lead, and what keeps other sites out. A real browser uses them in tests/console."""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth
from tests.unit.auth.test_oauth import CHALLENGE, REDIRECT, Browser, client_of, sent_back


@pytest.fixture
def browser(auth: Auth) -> Browser:
    browser = Browser(auth)
    assert browser.sign_in().location == "/account"
    return browser


def request_of(client: dict[str, Any]) -> dict[str, str]:
    """What an application asks with."""
    asked = {"response_type": "code", "client_id": client["client_id"], "redirect_uri": REDIRECT, "state": "a state/é", "scope": "openid"}
    return {**asked, "code_challenge": CHALLENGE, "code_challenge_method": "S256"}


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    return html.unescape(page.partition(f'name="{name}" value="')[2].partition('"')[0])


def send(browser: Browser, page: str, path: str | None = None, **form: str) -> TestResponse:
    return browser.client.post(path or page, data={"csrf": browser.csrf(page), **form})


@pytest.mark.parametrize("path", ["/account", "/account/password", "/account/login-key", "/account/tokens"])
def test_pages_need_a_sign_in_and_lead_back(auth: Auth, path: str) -> None:
    browser = Browser(auth)
    answer = browser.client.get(path)
    assert answer.status_code == 303
    assert answer.location == "/account/sign-in?next=" + path.replace("/", "%2F")
    form = {"csrf": browser.csrf(answer.location), "email": ADMIN, "password": PASSWORD, "next": path}
    assert browser.client.post("/account/sign-in", data=form).location == path
    assert browser.client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/account/sign-out", "/account"),
        ("/account/password", "/account/password"),
        ("/account/login-key/remove", "/account/login-key"),
        ("/account/tokens/x/rotate", "/account/tokens"),
        ("/oauth/authorize", "/oauth/authorize"),
    ],
)
def test_a_form_that_comes_after_the_sign_in_has_ended_leads_back_to_its_page(auth: Auth, admin: str, path: str, page: str) -> None:
    query = request_of(client_of(auth, admin)) if path == "/oauth/authorize" else {}
    browser = Browser(auth)
    asked = browser.client.post(path, query_string=query)
    assert asked.status_code == 303
    shown = browser.client.get(asked.location).text
    form = {"csrf": hidden(shown, "csrf"), "next": hidden(shown, "next"), "email": ADMIN, "password": PASSWORD}
    back = browser.client.post("/account/sign-in", data=form)
    assert urlsplit(back.location).path == page
    assert browser.client.get(back.location).status_code == 200


@pytest.mark.parametrize("path", ["/account", "/account/password", "/account/login-key", "/account/tokens", "/oauth/authorize"])
def test_head_only_looks(auth: Auth, admin: str, browser: Browser, path: str) -> None:
    query = request_of(client_of(auth, admin)) if path == "/oauth/authorize" else {}
    before = auth.ask("GET", "/audit", token=admin).json["total"]
    assert browser.client.head(path, query_string=query).status_code == 200
    assert auth.ask("GET", "/audit", token=admin).json["total"] == before


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.org",
        "//evil.example.org",
        "/\\evil.example.org",
        "/users",
        "javascript:alert(1)",
        "/account/../users",
        "",
        "/account\n",
    ],
)
def test_signing_in_leads_nowhere_else(auth: Auth, target: str) -> None:
    browser = Browser(auth)
    form = {"csrf": browser.csrf("/account/sign-in"), "email": ADMIN, "password": PASSWORD, "next": target}
    assert browser.client.post("/account/sign-in", data=form).location == "/account"


def test_signing_in_in_two_tabs(auth: Auth, admin: str) -> None:
    auth.add_user("ada@example.org", admin)
    browser = Browser(auth)
    first, second = browser.csrf("/account/sign-in"), browser.csrf("/account/sign-in")
    form = {"csrf": first, "email": ADMIN, "password": PASSWORD}
    assert browser.client.post("/account/sign-in", data=form).location == "/account"
    left = browser.client.get_cookie("gatehouse_session")
    form = {"csrf": second, "email": "ada@example.org", "password": PASSWORD}
    assert browser.client.post("/account/sign-in", data=form).location == "/account"
    assert "ada@example.org" in browser.client.get("/account").text
    assert auth.house.browsers.find(left.value) is None
    assert browser.client.post("/account/login-key", data={"csrf": second}).status_code == 403


def test_a_wrong_password_stays_on_the_page(auth: Auth) -> None:
    answer = Browser(auth).sign_in(password="<b>wrong</b> password")
    assert answer.status_code == 401
    assert "E-mail or password is not right." in answer.text
    assert f'value="{ADMIN}"' in answer.text
    assert "<b>wrong" not in answer.text


def test_too_many_failures_say_when_to_come_back(auth: Auth) -> None:
    browser = Browser(auth)
    for _ in range(5):
        browser.sign_in(password="a wrong password")
    answer = browser.sign_in()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert "try again in 2 s" in answer.text


def test_too_many_wrong_current_passwords_say_when_to_come_back(auth: Auth, browser: Browser) -> None:
    form = {"current_password": "a wrong password", "new_password": "another horse battery"}
    answers = [send(browser, "/account/password", **form) for _ in range(6)]
    assert [one.status_code for one in answers] == [422] * 5 + [429]
    assert answers[-1].headers["Retry-After"] == "2"


FORMS = [
    ("/account/sign-in", {"email": ADMIN, "password": PASSWORD}),
    ("/account/sign-out", {}),
    ("/account", {"full_name": "x", "email": "evil@example.org"}),
    ("/account/password", {"current_password": PASSWORD, "new_password": "the password of the thief"}),
    ("/account/login-key", {}),
    ("/account/login-key/remove", {}),
    ("/account/tokens", {"kind": "account", "permission": "full"}),
    ("/account/tokens/x/rotate", {}),
    ("/account/tokens/x/remove", {}),
]


def test_forms_of_other_sites_are_refused(auth: Auth, browser: Browser) -> None:
    other = Browser(auth).csrf("/account/sign-in")
    for path, form in FORMS:
        for token in ({}, {"csrf": ""}, {"csrf": other}, {"csrf": "é"}):
            assert browser.client.post(path, data={**form, **token}).status_code == 403, path
    assert auth.ask("GET", "/me", basic=(ADMIN, PASSWORD)).json["email"] == ADMIN


def test_pages_keep_others_out(auth: Auth, browser: Browser) -> None:
    answer = browser.client.get("/account")
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/account/nothing", 404, "Not found."),
        ("GET", "/account/sign-out", 405, "Method not allowed."),
        ("PUT", "/oauth/authorize", 405, "Method not allowed."),
        ("POST", "/account", 413, "Body too large."),
    ],
)
def test_people_are_told_on_a_page_what_went_wrong(browser: Browser, method: str, path: str, status: int, sentence: str) -> None:
    answer = browser.client.open(path, method=method, data={"csrf": "x" * 70_000 if method == "POST" else ""})
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert f"<p>{sentence}</p>" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Request-Id"]


def test_people_are_told_of_an_outage_on_a_page(auth: Auth, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr(auth.house.database, "read", away)
    answer = browser.client.get("/account")
    assert (answer.status_code, answer.mimetype, answer.headers["Retry-After"]) == (503, "text/html", "1")
    assert "<p>Database unavailable.</p>" in answer.text


def test_the_cookie(auth: Auth) -> None:
    browser = Browser(auth)
    kept = browser.sign_in().headers.getlist("Set-Cookie")[0]
    assert kept.startswith("gatehouse_session=gh_web_")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(kept.split("; "))
    assert "Secure" not in kept


def test_behind_the_gateway(auth: Auth) -> None:
    client = auth.app.test_client()
    proxied: dict[str, Any] = {
        "headers": {"X-Forwarded-Prefix": "/auth", "X-Forwarded-Proto": "https", "X-Forwarded-For": "6.6.6.6, 203.0.113.8"},
        "environ_overrides": {"REMOTE_ADDR": "127.0.0.1"},
    }
    answer = client.get("/account", **proxied)
    assert answer.location == "/auth/account/sign-in?next=%2Faccount"
    page = client.get("/account/sign-in", **proxied)
    assert 'action="/auth/account/sign-in"' in page.text
    assert 'href="/auth/account/style.css"' in page.text
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-gatehouse_visit=")
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}, headers=proxied["headers"], address="::1")
    found = auth.ask("GET", "/audit", basic=(ADMIN, PASSWORD), query_string={"action": "login"}).json["items"]
    assert found[0]["address"] == "203.0.113.8"


def test_nobody_else_is_believed_about_prefix_and_address(auth: Auth) -> None:
    headers = {"X-Forwarded-Prefix": "//evil.example.org", "X-Forwarded-For": "1.2.3.4"}
    for address in ("203.0.113.7", "127.0.0.1"):
        answer = auth.ask("GET", "/account", headers=headers, address=address)
        assert answer.location == "/account/sign-in?next=%2Faccount"
    answer = auth.ask("GET", "/account", headers={"X-Forwarded-Prefix": "/auth"}, address="203.0.113.7")
    assert answer.location == "/account/sign-in?next=%2Faccount"


def test_signing_out(auth: Auth, browser: Browser) -> None:
    cookie = browser.client.get_cookie("gatehouse_session")
    assert cookie is not None
    assert send(browser, "/account", "/account/sign-out").status_code == 303
    browser.client.set_cookie("gatehouse_session", cookie.value)
    assert browser.client.get("/account").status_code == 303


def test_a_session_ends_with_the_time_the_user_and_the_password(auth: Auth, admin: str, browser: Browser) -> None:
    auth.ask("POST", "/me/password", {"current_password": PASSWORD, "new_password": "another horse battery"}, token=admin)
    assert browser.client.get("/account").status_code == 303
    assert browser.sign_in(password="another horse battery").status_code == 303
    auth.clock.move(12 * 3600)
    assert browser.client.get("/account").status_code == 303


def test_the_profile(auth: Auth, browser: Browser) -> None:
    assert send(browser, "/account", full_name="<Ada>", email="ada@example.org").location == "/account?saved=1"
    page = browser.client.get("/account?saved=1").text
    assert "Saved." in page
    assert 'value="&lt;Ada&gt;"' in page
    answer = send(browser, "/account", full_name="Ada", email="nonsense")
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert "Not a valid e-mail address." in answer.text


def test_the_password_page_keeps_this_sign_in_and_ends_others(auth: Auth, admin: str, browser: Browser) -> None:
    answer = send(browser, "/account/password", current_password="a wrong password", new_password="another horse battery")
    assert answer.status_code == 422
    assert "Not the current password." in answer.text
    answer = send(browser, "/account/password", current_password=PASSWORD, new_password="another horse battery")
    assert answer.location == "/account/password?saved=1"
    assert browser.client.get("/account").status_code == 200
    assert auth.ask("GET", "/me", token=admin).status_code == 401


def shown_secret(answer: TestResponse) -> str:
    return answer.text.partition('id="secret">')[2].partition("<")[0]


def test_the_login_key_page(auth: Auth, browser: Browser) -> None:
    answer = send(browser, "/account/login-key")
    key = shown_secret(answer)
    assert auth.verify_basic(ADMIN, key).status_code == 200
    assert key not in browser.client.get("/account/login-key").text
    assert send(browser, "/account/login-key", "/account/login-key/remove").status_code == 303
    assert "You have no login key." in browser.client.get("/account/login-key").text


def test_the_tokens_page(auth: Auth, browser: Browser) -> None:
    form = {
        "label": "Lab <1>",
        "kind": "analysis",
        "permission": "read",
        "expires_in": "86400",
        "policy": "device: read, edit\n\nbucket:read",
    }
    answer = send(browser, "/account/tokens", **form)
    assert answer.status_code == 201
    secret = shown_secret(answer)
    verified = auth.verify(secret).json
    assert verified["policy"] == [{"resource": "device", "actions": ["read", "edit"]}, {"resource": "bucket", "actions": ["read"]}]
    page = browser.client.get("/account/tokens").text
    assert "Lab &lt;1&gt;" in page
    assert secret not in page
    path = "/account/tokens/" + page.partition("/account/tokens/")[2].partition("/")[0]
    assert auth.verify(shown_secret(send(browser, "/account/tokens", path + "/rotate"))).status_code == 200
    assert auth.verify(secret).status_code == 401
    assert send(browser, "/account/tokens", path + "/remove").status_code == 303
    assert "You have none." in browser.client.get("/account/tokens").text
    assert send(browser, "/account/tokens", path + "/remove").status_code == 404


@pytest.mark.parametrize(
    "form", [{"kind": "analysis", "permission": "read", "policy": ""}, {"kind": "x", "permission": "y", "policy": ":"}]
)
def test_a_wrong_token_form_says_so(auth: Auth, browser: Browser, form: dict[str, str]) -> None:
    answer = send(browser, "/account/tokens", **form)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_signing_in_first_then_consent(auth: Auth, admin: str) -> None:
    client = client_of(auth, admin, name="<App>")
    browser = Browser(auth)
    asked = browser.authorize(client["client_id"])
    assert asked.status_code == 303
    assert asked.location.startswith("/account/sign-in?next=%2Foauth%2Fauthorize%3F")
    shown = browser.client.get(asked.location).text
    form = {"csrf": hidden(shown, "csrf"), "next": hidden(shown, "next"), "email": ADMIN, "password": PASSWORD}
    back = browser.client.post("/account/sign-in", data=form)
    page = browser.client.get(back.location)
    assert "Allow &lt;App&gt;?" in page.text
    assert "form-action 'self' https://app.example.org;" in page.headers["Content-Security-Policy"]
    assert "code" in sent_back(browser.authorize(client["client_id"]))


def test_consent_needs_the_password_not_a_login_key(auth: Auth, admin: str) -> None:
    client = client_of(auth, admin)
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    browser = Browser(auth)
    assert browser.sign_in(password=key).status_code == 303
    answer = browser.authorize(client["client_id"])
    assert answer.status_code == 303
    assert "please sign in with your password" in browser.client.get(answer.location).text


def test_a_consent_form_of_another_site_is_refused(auth: Auth, admin: str, browser: Browser) -> None:
    query = request_of(client_of(auth, admin))
    answer = browser.client.post("/oauth/authorize", query_string=query, data={"decision": "allow"})
    assert answer.status_code == 403
    assert "Location" not in answer.headers
