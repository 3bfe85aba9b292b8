"""OAuth2 clients: what may be registered, and what goes with them."""

from __future__ import annotations

import pytest

from tests.unit.auth.browsing import (
    Browser,
    client_of,
    exchange,
    sent_back,
)
from tests.unit.auth.conftest import Auth


def test_a_client_that_is_removed_takes_its_sign_ins_with_it(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json
    assert auth.ask("DELETE", f"/clients/{client['client_id']}", token=admin).status_code == 204
    assert auth.verify(tokens["access_token"]).status_code == 401


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example.org/",
        "https://app.example.org/#f",
        "https://user:pw@app.example.org/",
        "https://*.example.org/",
        "/back",
        "javascript:alert(1)",
        "https://",
        "https://a b/",
        "https://a.example.org;script-src/",
        "https://a.example.org,b.example.org/",
    ],
)
def test_wrong_redirect_uris_are_refused(auth: Auth, admin: str, uri: str) -> None:
    answer = auth.ask("POST", "/clients", {"name": "x", "redirect_uris": [uri]}, token=admin)
    assert answer.status_code == 422
    assert list(answer.json["fields"]) == ["redirect_uris"]


@pytest.mark.parametrize("uri", ["https://app.example.org/back", "http://127.0.0.1:8000/", "http://[::1]/", "com.example.app:/back"])
def test_good_redirect_uris(auth: Auth, admin: str, uri: str) -> None:
    assert client_of(auth, admin, redirect_uris=[uri])["redirect_uris"] == [uri]
