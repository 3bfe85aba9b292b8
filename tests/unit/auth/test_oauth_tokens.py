"""Tokens of OAuth2: rotated, introspected, taken back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.unit.auth.browsing import (
    Browser,
    client_of,
    exchange,
    introspect,
    refresh,
    sent_back,
)
from tests.unit.auth.conftest import ADMIN, PASSWORD, SERVICE, Auth

# refresh tokens


def test_refresh_tokens_rotate_and_a_reused_one_ends_the_family(auth: Auth) -> None:
    first = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json
    second = refresh(auth, first["refresh_token"])
    assert second.status_code == 200
    assert second.json["refresh_token"] != first["refresh_token"]
    assert auth.verify(second.json["access_token"]).status_code == 200
    again = refresh(auth, first["refresh_token"])
    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")
    assert refresh(auth, second.json["refresh_token"]).status_code == 400
    assert auth.verify(second.json["access_token"]).json["code"] == "token-revoked"
    audit = auth.ask("GET", "/audit", basic=(ADMIN, PASSWORD), query_string={"action": "refresh-token.reused"})
    assert audit.json["total"] == 1


def test_of_two_refreshes_at_once_one_wins(auth: Auth) -> None:
    first = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json["refresh_token"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: refresh(auth, first), range(4)))
    assert sorted(one.status_code for one in answers) == [200, 400, 400, 400]


def test_a_clients_refresh_token_needs_the_client(auth: Auth, admin: str, browser: Browser) -> None:
    client, other = client_of(auth, admin), client_of(auth, admin)
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json
    assert refresh(auth, tokens["refresh_token"]).status_code == 400
    assert refresh(auth, tokens["refresh_token"], other).json["error"] == "invalid_grant"
    second = refresh(auth, tokens["refresh_token"], client)
    assert second.status_code == 200
    assert refresh(auth, tokens["refresh_token"], client).json["error"] == "invalid_grant"
    assert refresh(auth, second.json["refresh_token"], client).json["error"] == "invalid_grant"


def test_a_refresh_token_ends_with_the_sign_in_and_the_user(auth: Auth, admin: str) -> None:
    user = auth.add_user("u@example.org", admin)
    tokens = auth.ask("POST", "/login", {"email": "u@example.org", "password": PASSWORD}).json
    other = auth.ask("POST", "/login", {"email": "u@example.org", "password": PASSWORD}).json
    auth.clock.move(30 * 24 * 3600)
    assert refresh(auth, tokens["refresh_token"]).status_code == 400
    auth.clock.move(-1)
    admin = auth.log_in()
    auth.ask("PATCH", f"/users/{user['id']}", {"active": False}, token=admin)
    assert refresh(auth, other["refresh_token"]).status_code == 400


# client credentials


def test_a_service_gets_a_token_for_itself(auth: Auth) -> None:
    answer = auth.ask("POST", "/oauth/token", data={"grant_type": "client_credentials"}, basic=SERVICE)
    assert answer.status_code == 200, answer.text
    assert set(answer.json) == {"access_token", "token_type", "expires_in"}
    verified = auth.verify(answer.json["access_token"]).json
    assert (verified["kind"], verified["subject"], verified["user"]) == ("client", "client:sessions", None)
    assert auth.ask("GET", "/me", token=answer.json["access_token"]).status_code == 401


def test_the_audit_names_the_client_that_asked(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin, name="Garden app", grants=["authorization_code", "refresh_token", "client_credentials"])
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json
    basic = (client["client_id"], client["client_secret"])
    auth.ask("POST", "/oauth/token", data={"grant_type": "client_credentials"}, basic=basic)
    refresh(auth, tokens["refresh_token"], client)
    refresh(auth, tokens["refresh_token"], client)
    lines = auth.ask("GET", "/audit", token=admin, query_string={"actor_id": client["client_id"]}).json["items"]
    assert [(one["action"], one["actor"]) for one in lines] == [("refresh-token.reused", "Garden app"), ("client.token", "Garden app")]


def test_a_grant_the_client_has_not_is_refused(auth: Auth, admin: str) -> None:
    client = client_of(auth, admin)
    basic = (client["client_id"], client["client_secret"])
    answer = auth.ask("POST", "/oauth/token", data={"grant_type": "client_credentials"}, basic=basic)
    assert answer.json["error"] == "unauthorized_client"


def test_a_token_request_with_a_repeated_parameter_is_refused(auth: Auth) -> None:
    answer = auth.ask(
        "POST",
        "/oauth/token",
        data="grant_type=client_credentials&grant_type=refresh_token",
        content_type="application/x-www-form-urlencoded",
        basic=SERVICE,
    )
    assert answer.json["error"] == "invalid_request"


def test_an_applications_token_does_not_manage_the_account(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    token = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json["access_token"]
    assert auth.ask("GET", "/me", token=token).status_code == 200
    for method, path in [("POST", "/me/login-key"), ("GET", "/me/tokens"), ("GET", "/users"), ("POST", "/signing-keys/rotate")]:
        assert auth.ask(method, path, token=token).status_code == 403


# introspection and revocation


def test_introspection(auth: Auth, admin: str) -> None:
    tokens = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json
    secret = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json["secret"]
    found = introspect(auth, tokens["access_token"])
    assert (found["active"], found["username"], found["token_type"]) == (True, ADMIN, "Bearer")
    assert introspect(auth, tokens["refresh_token"])["active"]
    assert introspect(auth, secret)["active"]
    assert introspect(auth, "nonsense") == {"active": False}
    refresh(auth, tokens["refresh_token"])
    assert introspect(auth, tokens["refresh_token"]) == {"active": False}
    client = client_of(auth, admin)
    assert introspect(auth, secret, (client["client_id"], client["client_secret"])) == {"active": False}
    assert auth.ask("POST", "/oauth/introspect", data={"token": secret}).status_code in (400, 401)


def test_revocation(auth: Auth, admin: str, browser: Browser) -> None:
    client, other = client_of(auth, admin), client_of(auth, admin)
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json

    def revoke(token: str, who: dict[str, Any] | None) -> int:
        basic = (who["client_id"], who["client_secret"]) if who else None
        return auth.ask("POST", "/oauth/revoke", data={"token": token}, basic=basic).status_code

    assert revoke(tokens["access_token"], other) == 400
    assert revoke(tokens["access_token"], None) == 401
    assert introspect(auth, tokens["access_token"])["active"]
    assert revoke("unknown", None) == 200
    assert revoke(tokens["access_token"], client) == 200
    assert not introspect(auth, tokens["access_token"])["active"]
    assert revoke("unknown", client) == 200
    for path in ("/oauth/revoke", "/oauth/introspect"):  # a hint that is not known is ignored
        form = {"token": "unknown", "token_type_hint": "ticket"}
        assert auth.ask("POST", path, data=form, basic=(client["client_id"], client["client_secret"])).status_code == 200
    assert revoke(tokens["refresh_token"], client) == 200
    assert refresh(auth, tokens["refresh_token"], client).status_code == 400


def test_signing_out_without_a_client(auth: Auth) -> None:
    tokens = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json
    assert auth.ask("POST", "/oauth/revoke", data={"token": tokens["refresh_token"]}).status_code == 200
    assert auth.verify(tokens["access_token"]).json["code"] == "token-revoked"
    assert refresh(auth, tokens["refresh_token"]).status_code == 400


def test_what_is_not_taken_back_is_not_said_to_be(auth: Auth, admin: str) -> None:
    access = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json["secret"]
    role = auth.ask("POST", "/role-tokens", {"subject": "admin"}, token=admin).json["token"]
    for token in (access, role):
        answer = auth.ask("POST", "/oauth/revoke", data={"token": token})
        assert (answer.status_code, answer.json["error"]) == (400, "unsupported_token_type")
        assert auth.verify(token).status_code == 200


def test_a_refresh_without_a_token_is_malformed(auth: Auth) -> None:
    answer = auth.ask("POST", "/oauth/token", data={"grant_type": "refresh_token"})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
