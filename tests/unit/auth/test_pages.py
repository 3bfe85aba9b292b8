"""The pages in process: forms, where they lead, and what keeps other sites out. A real browser uses them in tests/console."""

from __future__ import annotations

import base64
import html
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from services.auth.credentials.service import notes
from services.auth.models import BrowserSession, Note
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
    page = told(browser, send(browser, "/account", full_name="<Ada>", email="ada@example.org"), "/account").text
    assert "Your profile was saved." in page
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
    assert "The password was changed." in told(browser, answer, "/account/password").text
    assert browser.client.get("/account").status_code == 200
    assert auth.ask("GET", "/me", token=admin).status_code == 401


def told(browser: Browser, answer: TestResponse, page: str) -> TestResponse:
    """The page that a form leads on to, which says once what was done."""
    assert (answer.status_code, urlsplit(answer.location).path) == (303, page)
    shown = browser.client.get(answer.location)
    assert shown.status_code == 200
    assert 'role="status"' in shown.text
    again = browser.client.get(answer.location)
    assert (again.status_code, 'role="status"' in again.text) == (200, False)
    return shown


def shown_secret(answer: TestResponse) -> str:
    return html.unescape(answer.text.partition('id="secret" value="')[2].partition('"')[0])


def made(browser: Browser, page: str, path: str | None = None, **form: str) -> str:
    """The secret that a form makes."""
    secret = shown_secret(told(browser, send(browser, page, path, **form), page))
    assert secret.startswith("gh_")
    return secret


def test_the_login_key_page(auth: Auth, browser: Browser) -> None:
    key = made(browser, "/account/login-key")
    assert auth.verify_basic(ADMIN, key).status_code == 200
    page = browser.client.get("/account/login-key").text
    assert key not in page
    for way, button in (("replace", "Replace the key"), ("remove", "Remove the key")):
        assert f'href="/account/login-key/{way}"' in page
        asked = browser.client.get(f"/account/login-key/{way}")
        assert (asked.status_code, button in asked.text) == (200, True)
    assert auth.verify_basic(ADMIN, key).status_code == 200
    answer = send(browser, "/account/login-key/remove")
    assert "Your login key was removed." in told(browser, answer, "/account/login-key").text
    assert "You have no login key." in browser.client.get("/account/login-key").text
    assert "You had no login key." in told(browser, send(browser, "/account/login-key/remove"), "/account/login-key").text


TOKEN = {"label": "Lab <1>", "kind": "analysis", "permission": "read", "expires_in": "86400", "policy": "device: read, edit\n\nbucket:read"}


def test_the_tokens_page(auth: Auth, browser: Browser) -> None:
    answer = told(browser, send(browser, "/account/tokens", **TOKEN), "/account/tokens")
    assert "The token “Lab &lt;1&gt;” was made." in answer.text
    secret = shown_secret(answer)
    verified = auth.verify(secret).json
    assert verified["policy"] == [{"resource": "device", "actions": ["read", "edit"]}, {"resource": "bucket", "actions": ["read"]}]
    page = browser.client.get("/account/tokens").text
    assert "Lab &lt;1&gt;" in page
    assert '<time datetime="2026-03-02T12:00:00Z">2 Mar 2026, 12:00 UTC</time>' in page
    assert secret not in page
    path = "/account/tokens/" + page.partition('href="/account/tokens/')[2].partition("/")[0]
    for way in ("rotate", "remove"):
        asked = browser.client.get(f"{path}/{way}")
        assert (asked.status_code, "the token “Lab &lt;1&gt;”?" in asked.text) == (200, True)
    assert auth.verify(secret).status_code == 200
    answer = told(browser, send(browser, path + "/rotate"), "/account/tokens")
    assert "The token “Lab &lt;1&gt;” was replaced." in answer.text
    assert auth.verify(shown_secret(answer)).status_code == 200
    assert auth.verify(secret).status_code == 401
    asked = browser.csrf(path + "/remove")
    answer = browser.client.post(path + "/remove", data={"csrf": asked})
    assert "The token “Lab &lt;1&gt;” was removed." in told(browser, answer, "/account/tokens").text
    assert "You have none." in browser.client.get("/account/tokens").text
    again = told(browser, browser.client.post(path + "/remove", data={"csrf": asked}), "/account/tokens")
    assert "This token is not there any more." in again.text
    assert browser.client.get(path + "/remove").status_code == 404


def test_a_form_sent_once_is_done_once(auth: Auth, browser: Browser) -> None:
    """What a browser loads again after a form is the page that it was led to."""
    answer = send(browser, "/account/tokens", **TOKEN)
    for _ in range(3):
        assert browser.client.get(answer.location).status_code == 200
    assert auth.ask("GET", "/me/tokens", basic=(ADMIN, PASSWORD)).json["total"] == 1


def test_a_form_sent_twice_makes_one_token(auth: Auth, browser: Browser) -> None:
    page = browser.client.get("/account/tokens").text
    form = {"csrf": hidden(page, "csrf"), "once": hidden(page, "once"), **TOKEN}
    wrong = browser.client.post("/account/tokens", data={**form, "policy": "x"})
    assert (wrong.status_code, hidden(wrong.text, "once") not in ("", form["once"])) == (422, True)
    answers = [browser.client.post("/account/tokens", data=form) for _ in range(2)]
    assert answers[0].location == answers[1].location
    assert "was made" in told(browser, answers[1], "/account/tokens").text
    again = told(browser, browser.client.post("/account/tokens", data=form), "/account/tokens")
    assert "was sent before, and was not done again" in again.text
    assert auth.ask("GET", "/me/tokens", basic=(ADMIN, PASSWORD)).json["total"] == 1
    for other in (hidden(again.text, "once"), "x" * 5000, "é" * 22, ""):
        made(browser, "/account/tokens", once=other, **TOKEN)
    assert auth.ask("GET", "/me/tokens", basic=(ADMIN, PASSWORD)).json["total"] == 5


def test_two_requests_of_one_form_at_once_make_one_token(auth: Auth, browser: Browser) -> None:
    page = browser.client.get("/account/tokens").text
    form = {"csrf": hidden(page, "csrf"), "once": hidden(page, "once"), **TOKEN}
    cookie = browser.client.get_cookie("gatehouse_session")
    assert cookie is not None

    def post(_: int) -> str:
        client = auth.app.test_client()
        client.set_cookie("gatehouse_session", cookie.value)
        answer = client.post("/account/tokens", data=form)
        assert answer.status_code == 303
        return answer.location

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(post, range(4)))) == 1
    assert auth.ask("GET", "/me/tokens", basic=(ADMIN, PASSWORD)).json["total"] == 1


def test_a_sign_in_that_ends_meanwhile_makes_no_token(auth: Auth, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    add = auth.parts.access_tokens.add

    def ended(*given: Any) -> Any:
        auth.parts.database.run(lambda session: session.execute(sa.delete(BrowserSession)))
        return add(*given)

    monkeypatch.setattr(auth.parts.access_tokens, "add", ended)
    answer = send(browser, "/account/tokens", **TOKEN)
    assert (answer.status_code, answer.location) == (303, "/account/sign-in?next=%2Faccount%2Ftokens")
    assert auth.ask("GET", "/me/tokens", basic=(ADMIN, PASSWORD)).json["total"] == 0


def test_what_waits_to_be_told_is_bounded(auth: Auth, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MOST", 3)
    for number in range(5):
        auth.clock.move(1)
        last = send(browser, "/account", email=ADMIN, full_name=f"A {number}").location
    with auth.parts.database.read() as session:
        assert len(session.scalars(sa.select(Note)).all()) == 3
    assert "was saved" in browser.client.get(last).text


def test_the_secret_is_for_this_browser_alone_and_for_a_few_minutes(auth: Auth, browser: Browser) -> None:
    other = Browser(auth)
    other.sign_in()
    here = send(browser, "/account/tokens", **TOKEN).location
    assert "gh_ana_" not in other.client.get(here).text
    assert "gh_ana_" not in auth.app.test_client().get(here, follow_redirects=True).text
    assert browser.client.head(here).status_code == 200
    assert "gh_ana_" in browser.client.get(here).text
    late = send(browser, "/account/tokens", **TOKEN).location
    auth.clock.move(301)
    assert "gh_ana_" not in browser.client.get(late).text
    auth.parts.forget_expired()
    with auth.parts.database.read() as session:
        assert session.scalars(sa.select(Note)).all() == []


def test_what_waits_to_be_told_is_no_secret_to_who_reads_the_database(auth: Auth, browser: Browser) -> None:
    answer = send(browser, "/account/tokens", **TOKEN)
    with auth.parts.database.read() as session:
        kept = session.scalars(sa.select(Note)).one()
    secret = shown_secret(browser.client.get(answer.location))
    sealed = kept.sealed + kept.id + kept.session
    assert secret.startswith("gh_ana_")
    assert secret not in sealed + answer.text + str(answer.headers)
    assert secret.encode() not in base64.b64decode(kept.sealed)


def test_what_waits_to_be_told_ends_with_the_sign_in(auth: Auth, browser: Browser) -> None:
    here = send(browser, "/account/tokens", **TOKEN).location
    cookie = browser.client.get_cookie("gatehouse_session")
    assert cookie is not None
    send(browser, "/account", "/account/sign-out")
    browser.client.set_cookie("gatehouse_session", cookie.value)
    assert browser.client.get(here).status_code == 303
    with auth.parts.database.read() as session:
        assert session.scalars(sa.select(Note)).all() == []


def test_a_login_key_that_replaces_itself_is_shown_all_the_same(auth: Auth, browser: Browser) -> None:
    """The sign-in ends with the old key, so no page of it could show the new one."""
    key = made(browser, "/account/login-key")
    by_key = Browser(auth)
    by_key.sign_in(password=key)
    form = {"csrf": by_key.csrf("/account/login-key/replace")}
    answer = by_key.client.post("/account/login-key", data=form)
    assert answer.status_code == 201
    assert auth.verify_basic(ADMIN, shown_secret(answer)).status_code == 200
    again = by_key.client.post("/account/login-key", data=form)
    assert urlsplit(again.location).path == "/account/sign-in"
    assert auth.verify_basic(ADMIN, shown_secret(answer)).status_code == 200


def test_who_ends_the_own_sign_in_is_told_when_signing_in(auth: Auth, browser: Browser) -> None:
    by_key = Browser(auth)
    by_key.sign_in(password=made(browser, "/account/login-key"))
    answer = send(by_key, "/account/login-key/remove")
    assert "It ended your sign-in" in by_key.client.get(answer.location).text
    assert "You are signed out." in browser.client.get(send(browser, "/account", "/account/sign-out").location).text


def test_only_a_page_with_a_secret_runs_a_script(browser: Browser) -> None:
    shown = browser.client.get(send(browser, "/account/tokens", **TOKEN).location)
    nonce = re.search(r"script-src 'nonce-([\w-]+)'; ", shown.headers["Content-Security-Policy"])
    assert nonce is not None
    assert re.search(rf'<script type="module" src="/account/assets/copy.js\?v=\w+" nonce="{nonce[1]}"></script>', shown.text)
    assert "<script" not in browser.client.get("/account/tokens").text


def test_a_token_ends_after_30_days_unless_chosen_otherwise(auth: Auth, browser: Browser) -> None:
    assert '<option value="2592000" selected>In 30 days</option>' in browser.client.get("/account/tokens").text
    for chosen, end in (
        ({}, "2026-03-31T12:00:00.000Z"),
        ({"expires_in": "86400"}, "2026-03-02T12:00:00.000Z"),
        ({"expires_in": "never"}, None),
    ):
        secret = made(browser, "/account/tokens", kind="account", permission="full", **chosen)
        assert auth.verify(secret).json["expires_at"] == end


def test_the_api_leaves_the_end_to_its_caller(auth: Auth, admin: str) -> None:
    assert auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json["expires_at"] is None


def test_a_token_that_has_ended_says_so(auth: Auth, browser: Browser) -> None:
    made(browser, "/account/tokens", **TOKEN)
    assert ">Ended<" not in browser.client.get("/account/tokens").text
    auth.clock.move(86_400)
    browser.sign_in()
    assert ">Ended<" in browser.client.get("/account/tokens").text


def marked(page: str) -> dict[str, str]:
    """What stands at the fields that are wrong: each takes the focus and is described by its mistake."""
    names = re.findall(r'name="(\w+)"[^>]* aria-invalid="true" autofocus aria-describedby="\1-wrong', page)
    return {name: html.unescape(page.partition(f'id="{name}-wrong">')[2].partition("<")[0]) for name in names}


MISTAKES: list[tuple[str, dict[str, str], str, str]] = [
    ("/account", {"full_name": "x" * 201, "email": ADMIN}, "full_name", "Longer than maximum length 200."),
    ("/account", {"full_name": "Ada", "email": "nonsense"}, "email", "Not a valid e-mail address."),
    ("/account/password", {"current_password": PASSWORD, "new_password": "tooshort"}, "new_password", "Shorter than 12 characters."),
    ("/account/password", {"current_password": "wrong one", "new_password": "tooshort"}, "current_password", "Not the current password."),
    (
        "/account/tokens",
        {**TOKEN, "policy": "device: read\ndevice"},
        "policy",
        "Line 2 has no colon. Write the resource, a colon, and what may be done.",
    ),
    ("/account/tokens", {**TOKEN, "policy": ""}, "policy", "A token of kind analysis needs at least one entry."),
    ("/account/tokens", {**TOKEN, "label": "x" * 101}, "label", "Longer than maximum length 100."),
    ("/account/tokens", {**TOKEN, "expires_in": "soon"}, "expires_in", "Choose one from the list."),
    ("/account/tokens", {**TOKEN, "kind": "x"}, "kind", "Must be one of: account, analysis, middleware."),
]


def test_a_mistake_is_told_at_its_field(browser: Browser) -> None:
    for page, form, field, words in MISTAKES:
        answer = send(browser, page, **form)
        assert answer.status_code == 422
        assert marked(answer.text) == {field: words}
        assert "<title>Error: " in answer.text
        for name, typed in form.items():
            if name not in ("kind", "expires_in"):
                assert (html.escape(typed) in answer.text) != name.endswith("password"), (words, name)


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
