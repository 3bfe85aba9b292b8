"""Where the pages of auth are, and how a person signs in there."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import requests
from playwright.sync_api import Page

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


def sign_in(page: Page, house: House, email: str, password: str = PASSWORD, path: str = "/account") -> None:
    page.goto(house.url + path)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password or login key").fill(password)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()


def request_of(client_id: str, back: str) -> dict[str, str]:
    """What an application asks with."""
    asked = {"response_type": "code", "client_id": client_id, "redirect_uri": back, "scope": "openid profile email", "state": "s-1"}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    return {**asked, "code_challenge": challenge, "code_challenge_method": "S256"}
