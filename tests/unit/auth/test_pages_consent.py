"""The page on which a person allows an application something."""

from __future__ import annotations

from tests.unit.auth.browsing import (
    Browser,
    client_of,
    hidden,
    request_of,
    sent_back,
)
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth


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
