"""The OpenAPI document is the contract: real answers fit it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from werkzeug.test import TestResponse

from services.common import openapi
from tests.unit.auth.browsing import REDIRECT, Browser, client_of, exchange, refresh, sent_back
from tests.unit.auth.conftest import ADMIN, PASSWORD, SERVICE, Auth

NEW = "another horse, same battery"
POLICY = [{"resource": "device", "actions": ["access", "edit"]}]


class Contract:
    """Compares every answer that the service gives with the document."""

    def __init__(self, auth: Auth) -> None:
        self.document = openapi.document(auth.app)
        self.seen: set[tuple[str, str, int]] = set()
        auth.app.after_request(self.compare)

    def compare(self, answer: Any) -> Any:
        from flask import request

        if request.url_rule is None:
            return answer
        path = request.url_rule.rule.replace("<", "{").replace(">", "}")
        operation = self.document["paths"].get(path, {}).get(request.method.lower())
        if operation is None:
            return answer
        told = operation["responses"].get(str(answer.status_code), operation["responses"]["default"])
        if "$ref" in told:
            told = self.document["components"]["responses"][told["$ref"].rpartition("/")[2]]
        if answer.status_code == 204:
            assert "content" not in told
        else:
            schema = {**told["content"]["application/json"]["schema"], "components": self.document["components"]}
            jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(answer.get_json())
        self.seen.add((request.method, path, answer.status_code))
        return answer


@pytest.fixture
def contract(auth: Auth) -> Contract:
    return Contract(auth)


def test_real_answers_fit(auth: Auth, contract: Contract) -> None:
    """One day of everything; an answer that does not fit raises in the service, so that its status is 500."""
    ask: Callable[..., TestResponse] = auth.ask
    admin = auth.log_in()
    ask("POST", "/domains", {"name": "lab"}, token=admin)
    ask("PATCH", "/domains/lab", {"login_key_lifetime_s": 600}, token=admin)
    ask("GET", "/domains", token=admin)
    ask("POST", "/domains", {"name": "lab"}, token=admin)
    user = auth.add_user("u@example.org", admin, layer_domains=["bus"], full_name="Una", domain="lab")
    own = auth.log_in("u@example.org")
    ask("GET", "/users", token=admin)
    ask("GET", f"/users/{user['id']}", token=admin)
    ask("GET", "/users/nobody", token=admin)
    ask("GET", "/users", token=own)
    ask("PATCH", f"/users/{user['id']}", {"level": "EDITOR"}, token=admin)
    ask("PATCH", f"/users/{user['id']}", {"level": "KING"}, token=admin)
    ask("PATCH", f"/users/{user['id']}", {"level": "EDITOR"}, token=admin, headers={"If-Match": '"77"'})
    ask("GET", "/me", token=own)
    ask("GET", "/me")
    ask("PATCH", "/me", {"full_name": "Una Due"}, token=own)
    key = ask("POST", "/me/login-key", token=own).json["key"]
    ask("GET", "/me/login-key", token=own)
    auth.verify_basic("u@example.org", key)
    auth.verify_basic("u@example.org", PASSWORD, address="203.0.113.9")
    auth.verify_basic("u@example.org", "wrong")
    made = ask("POST", "/me/tokens", {"kind": "analysis", "policy": POLICY, "expires_in": 60}, token=own).json
    ask("POST", "/me/tokens", {"kind": "account"}, token=own)
    ask("GET", "/me/tokens", token=own)
    rotated = ask("POST", f"/me/tokens/{made['id']}/rotate", token=own).json
    role = ask("POST", "/role-tokens", {"subject": "public", "not_before": "2026-03-01T11:00:00Z"}, token=admin).json
    ask("PUT", "/role-tokens/cut-off/public", {"cut_off": "2026-03-01T10:00:00Z"}, token=admin)
    ask("GET", "/role-tokens", token=admin)
    client = client_of(auth, admin)
    client_of(auth, admin, public=True)
    ask("GET", "/clients", token=admin)
    browser = Browser(auth)
    browser.sign_in()
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json
    refreshed = refresh(auth, tokens["refresh_token"], client).json
    refresh(auth, tokens["refresh_token"], client)
    for_itself = ask("POST", "/oauth/token", data={"grant_type": "client_credentials"}, basic=SERVICE).json
    ask("POST", "/oauth/token", data={"grant_type": "none"}, basic=SERVICE)
    ask("POST", "/oauth/token", data={"grant_type": "client_credentials"}, basic=("sessions", "wrong"))
    for user_id in (user["id"], "nobody"):
        ask("POST", "/verify/user", {"id": user_id}, basic=SERVICE)
    for token in (own, rotated["secret"], role["token"], for_itself["access_token"], refreshed["access_token"], "rubbish"):
        auth.verify(token)
        ask("POST", "/oauth/introspect", data={"token": token}, basic=SERVICE)
    login = ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json
    ask("POST", "/oauth/introspect", data={"token": login["refresh_token"]}, basic=SERVICE)
    ask("POST", "/oauth/introspect", data={"token": own}, basic=("sessions", "wrong"))
    ask("POST", "/oauth/revoke", data={"token": for_itself["access_token"]}, basic=SERVICE)
    ask("POST", "/oauth/revoke", data={"token": login["refresh_token"]})
    ask("POST", "/oauth/revoke", data={})
    ask("DELETE", f"/me/tokens/{made['id']}", token=own)
    ask("DELETE", f"/role-tokens/{role['jti']}", token=admin)
    ask("POST", f"/clients/{client['client_id']}/rotate", token=admin)
    ask("DELETE", f"/clients/{client['client_id']}", token=admin)
    ask("POST", "/signing-keys/rotate", {"algorithm": "RS256"}, token=admin)
    ask("GET", "/signing-keys", token=admin)
    ask("GET", "/.well-known/jwks.json")
    ask("GET", "/.well-known/openid-configuration")
    ask("DELETE", "/me/login-key", token=own)
    ask("POST", "/me/password", {"current_password": PASSWORD, "new_password": "short"}, token=own)
    ask("POST", "/me/password", {"current_password": PASSWORD, "new_password": NEW}, token=own)
    ask("POST", f"/users/{user['id']}/password", {"new_password": PASSWORD}, token=admin)
    for _ in range(6):
        ask("POST", "/login", {"email": "u@example.org", "password": "wrong"})
    ask("POST", "/login", data="{", content_type="application/json")
    ask("DELETE", f"/users/{user['id']}", token=admin)
    ask("DELETE", "/domains/lab", token=admin)
    ask("GET", "/audit", token=admin)

    documented = {
        (method.upper(), path) for path, operations in contract.document["paths"].items() for method in operations if method != "parameters"
    }
    assert documented - {(method, path) for method, path, status in contract.seen if status < 300} == set()
    assert {status for _, _, status in contract.seen} == {200, 201, 204, 400, 401, 403, 404, 409, 412, 422, 429}


def test_discovery_names_only_what_exists(auth: Auth, admin: str) -> None:
    document = auth.ask("GET", "/.well-known/openid-configuration").json
    rules = {rule.rule for rule in auth.app.url_map.iter_rules()}
    issuer = document["issuer"]
    places = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(places) == 5
    assert {value.removeprefix(issuer) for value in places.values()} <= rules
    client = client_of(auth, admin, grants=document["grant_types_supported"])
    assert client["redirect_uris"] == [REDIRECT]
    for algorithm in document["id_token_signing_alg_values_supported"]:
        assert auth.ask("POST", "/signing-keys/rotate", {"algorithm": algorithm}, token=admin).status_code == 201
