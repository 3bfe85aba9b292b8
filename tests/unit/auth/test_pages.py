"""The pages in process: forms, where they lead, and what keeps other sites out. A real browser uses them in tests/console."""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from tests.unit.auth.browsing import (
    Browser,
    client_of,
    hidden,
    request_of,
    send,
)
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth


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
    assert auth.parts.browsers.find(left.value) is None
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


def test_pages_keep_others_out(browser: Browser) -> None:
    answer = browser.client.get("/account")
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
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

    monkeypatch.setattr(auth.parts.database, "read", away)
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
    assert 'href="/auth/account/assets/style.css?v=' in page.text
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


def test_signing_out(browser: Browser) -> None:
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


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(("headers", "root"), [({}, ""), ({"X-Forwarded-Prefix": "/auth"}, "/auth")])
def test_a_browser_gets_a_page_at_the_start(auth: Auth, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], root: str) -> None:
    monkeypatch.setattr(auth.parts.database, "read", None)  # nothing is asked
    for accept in ("", "*/*", "application/json"):
        answer = auth.ask("GET", "/", headers={**headers, "Accept": accept})
        assert set(answer.json) == {"name", "version", "git_sha"}
        assert answer.headers["Vary"] == "Accept, X-Forwarded-Prefix"
    page = auth.ask("GET", "/", headers={**headers, "Accept": BROWSER}, address="127.0.0.1")
    assert (page.status_code, page.mimetype, page.headers["Vary"]) == (200, "text/html", "Accept, X-Forwarded-Prefix")
    assert f'href="{root}/account"' in page.text
    assert "Set-Cookie" not in page.headers


def test_the_style_sheet_is_kept_for_a_year(auth: Auth) -> None:
    page = auth.ask("GET", "/account/sign-in").text
    for name in ("style.css", "icon.svg"):
        address = html.unescape(page.partition(f"/account/assets/{name}")[2].partition('"')[0])
        assert auth.ask("GET", f"/account/assets/{name}{address}").headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert auth.ask("GET", "/account/assets/none.css").status_code == 404
