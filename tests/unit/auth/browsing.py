"""A person with a browser, and an OAuth2 client that sends it to auth and back."""

from __future__ import annotations

import base64
import hashlib
import html
from typing import Any
from urllib.parse import parse_qs, urlsplit

from werkzeug.test import TestResponse

from tests.unit.auth.conftest import ADMIN, PASSWORD, SERVICE, Auth

VERIFIER = "a-verifier-of-at-least-forty-three-characters-1234"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "https://app.example.org/back?kept=1"
TOKEN = {"label": "Lab <1>", "kind": "analysis", "permission": "read", "expires_in": "86400", "policy": "device: read, edit\n\nbucket:read"}


def client_of(auth: Auth, admin: str, **fields: Any) -> dict[str, Any]:
    answer = auth.ask("POST", "/clients", {"name": "App", "redirect_uris": [REDIRECT], **fields}, token=admin)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


class Browser:
    """A person with a browser, without scripts."""

    def __init__(self, auth: Auth) -> None:
        self.client = auth.app.test_client()

    def sign_in(self, email: str = ADMIN, password: str = PASSWORD) -> TestResponse:
        form = {"csrf": self.csrf("/account/sign-in"), "email": email, "password": password}
        return self.client.post("/account/sign-in", data=form)

    def csrf(self, path: str, **options: Any) -> str:
        page = self.client.get(path, **options)
        return page.text.partition('name="csrf" value="')[2].partition('"')[0]

    def authorize(self, client_id: str, decision: str = "allow", **changes: str | None) -> TestResponse:
        asked = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "scope": "openid profile email",
            "state": "a state/é",
            "nonce": "n-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        query = {name: value for name, value in asked.items() if value is not None}
        page = self.client.get("/oauth/authorize", query_string=query)
        if page.status_code != 200:
            return page
        csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        return self.client.post("/oauth/authorize", query_string=query, data={"csrf": csrf, "decision": decision})


def sent_back(answer: TestResponse) -> dict[str, str]:
    assert answer.status_code in (302, 303), answer.text
    assert answer.location.startswith("https://app.example.org/back?kept=1&")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


def exchange(auth: Auth, client: dict[str, Any], code: str | None, **changes: str | None) -> TestResponse:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER, **changes}
    basic = (client["client_id"], client["client_secret"]) if "client_secret" in client else None
    if basic is None:
        form["client_id"] = client["client_id"]
    return auth.ask("POST", "/oauth/token", data={name: value for name, value in form.items() if value is not None}, basic=basic)


def refresh(auth: Auth, token: str, client: dict[str, Any] | None = None) -> TestResponse:
    basic = (client["client_id"], client["client_secret"]) if client else None
    return auth.ask("POST", "/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token}, basic=basic)


def request_of(client: dict[str, Any]) -> dict[str, str]:
    """What an application asks with."""
    asked = {"response_type": "code", "client_id": client["client_id"], "redirect_uri": REDIRECT, "state": "a state/é", "scope": "openid"}
    return {**asked, "code_challenge": CHALLENGE, "code_challenge_method": "S256"}


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    return html.unescape(page.partition(f'name="{name}" value="')[2].partition('"')[0])


def send(browser: Browser, page: str, path: str | None = None, **form: str) -> TestResponse:
    return browser.client.post(path or page, data={"csrf": browser.csrf(page), **form})


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


def introspect(auth: Auth, token: str, basic: tuple[str, str] = SERVICE) -> dict[str, Any]:
    answer = auth.ask("POST", "/oauth/introspect", data={"token": token}, basic=basic)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)
