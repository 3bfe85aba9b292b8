"""OAuth2 clients: what may be registered, and what goes with them."""

from __future__ import annotations

import pytest

from tests.unit.auth.browsing import (
    Browser,
    client_of,
    exchange,
    refresh,
    sent_back,
)
from tests.unit.auth.conftest import SERVICE, Auth


def test_a_client_that_is_removed_takes_its_sign_ins_with_it(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json
    assert auth.ask("DELETE", f"/clients/{client['client_id']}", token=admin).status_code == 204
    assert auth.verify(tokens["access_token"]).status_code == 401


def test_a_new_secret_for_the_same_client(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json
    path = f"/clients/{client['client_id']}/rotate"
    answer = auth.ask("POST", path, token=admin)
    assert answer.status_code == 200
    renewed = {**client, "client_secret": answer.json["client_secret"]}
    assert answer.json == renewed != client
    assert auth.verify(tokens["access_token"]).status_code == 200
    assert refresh(auth, tokens["refresh_token"], client).status_code == 401
    assert refresh(auth, tokens["refresh_token"], renewed).status_code == 200
    assert auth.ask("GET", "/audit?action=client.rotate", token=admin).json["items"][0]["target"] == client["client_id"]


def test_clients_without_a_secret_of_their_own(auth: Auth, admin: str) -> None:
    public = client_of(auth, admin, public=True)
    for name, status, code in (
        (public["client_id"], 409, "client-is-public"),
        (SERVICE[0], 409, "client-in-settings"),
        ("x", 404, "not-found"),
    ):
        answer = auth.ask("POST", f"/clients/{name}/rotate", token=admin)
        assert (answer.status_code, answer.json["code"]) == (status, code)


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
