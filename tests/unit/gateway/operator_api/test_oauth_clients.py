"""OAuth2 clients in both APIs: created, listed, changed, deleted; and what a client cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.gateway.operators import Operator

BACK = "https://app.example/cb"
META = {"allowed_access_types": ["authorization_code", "refresh_token"], "allowed_authorize_types": ["code"]}


@pytest.fixture
def api(operator: Operator) -> Operator:
    """With an OAuth2 API `one`, and `two` that takes keys."""
    operator.new_api(use_oauth2=True, oauth_meta=META)
    operator.new_api(api_id="two", name="Two", listen_path="/two/")
    return operator


def create(operator: Operator, status: int = 200, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = operator.json("POST", "/tyk/oauth/clients/create", {"api_id": "one", "redirect_uri": BACK, **more}, status)
    return found


def test_the_gateways_api(api: Operator) -> None:
    made = create(api, description="An app", meta_data={"a": 1})
    assert (made["redirect_uri"], made["description"], made["meta_data"]) == (BACK, "An app", {"a": 1})
    assert len(made["secret"]) >= 40
    id = made["client_id"]
    shown = {name: value for name, value in made.items() if name != "secret"}
    assert api.json("GET", "/tyk/oauth/clients/one/") == [shown]
    assert api.json("GET", f"/tyk/oauth/clients/one/{id}") == shown
    changed = api.json("PUT", f"/tyk/oauth/clients/one/{id}", {"redirect_uris": [BACK, "app.example:/cb"]})
    assert (changed["redirect_uris"], changed["description"]) == ([BACK, "app.example:/cb"], "An app")
    assert api.json("GET", f"/tyk/oauth/clients/one/{id}/tokens") == []
    assert api.json("DELETE", f"/tyk/oauth/clients/one/{id}")["action"] == "deleted"
    for method, path in (("GET", ""), ("DELETE", ""), ("PUT", ""), ("GET", "/tokens"), ("DELETE", "/tokens")):
        assert api.json(method, f"/tyk/oauth/clients/one/{id}{path}", {} if method == "PUT" else None, 404)["code"] == "client-unknown"


def test_the_management_api(api: Operator) -> None:
    made = [api.json("POST", "/api/apis/oauth/one", {"redirect_uri": BACK, "client_id": f"app-{number}"}) for number in range(3)]
    assert all(one["secret"] for one in made)
    listed = api.json("GET", "/api/apis/oauth/one?p=0&page_size=2")
    assert ([one["client_id"] for one in listed["apps"]], listed["pages"]) == (["app-0", "app-1"], 1)
    assert not any("secret" in one for one in listed["apps"])
    assert api.json("GET", "/api/apis/oauth/one/app-0")["client_id"] == "app-0"
    assert api.json("PUT", "/api/apis/oauth/one/app-0", {"description": "x"})["Message"] == "OAuth Client updated"
    assert api.json("DELETE", "/api/apis/oauth/one/app-0")["Message"] == "OAuth Client deleted successfully"
    assert api.json("DELETE", "/api/apis/oauth/one/app-0", status=404)["Code"] == "client-unknown"
    assert api.json("GET", "/api/apis/oauth/nowhere", status=404)["Code"] == "api-unknown"


@pytest.mark.parametrize("path", ["/tyk/oauth/clients/one", "/tyk/oauth/clients/one/app", "/api/apis/oauth/one", "/tyk/oauth/refresh/x"])
def test_nobody_else(api: Operator, path: str) -> None:
    method = "DELETE" if "refresh" in path else "GET"
    assert api.call(method, path, headers={"authorization": "x", "x-tyk-authorization": "x"}).status_code in (401, 403)


def test_a_client_is_found_through_its_api_alone(api: Operator) -> None:
    create(api, client_id="app")
    assert api.json("GET", "/tyk/oauth/clients/two/app", status=404)["code"] == "client-unknown"


def test_a_client_that_comes_from_a_tyk(api: Operator) -> None:
    """It keeps its id and its secret, so that its users notice nothing."""
    made = create(api, client_id="app", secret="c2VjcmV0LW9mLWEtdHlr")
    assert (made["client_id"], made["secret"]) == ("app", "c2VjcmV0LW9mLWEtdHlr")
    assert create(api, 409, client_id="app")["code"] == "client-taken"


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"redirect_uri": "javascript:alert(1)"}, "/redirect_uri"),
        ({"redirect_uri": "/cb"}, "/redirect_uri"),
        ({"redirect_uri": "https:///cb"}, "/redirect_uri"),
        ({"redirect_uri": BACK + "#x"}, "/redirect_uri"),
        ({"redirect_uri": "https://app.example/ü"}, "/redirect_uri"),
        ({"redirect_uri": "https://[::1"}, "/redirect_uri"),
        ({"redirect_uris": [BACK, "x"]}, "/redirect_uris/1"),
        ({"client_id": "a/b"}, "/client_id"),
        ({"secret": "short"}, "/secret"),
        ({"secret": "a secret with spaces in it"}, "/secret"),
        ({"policy_id": "nowhere"}, "/policy_id"),
        ({"polcy_id": "x"}, "/polcy_id"),
    ],
)
def test_mistakes(api: Operator, more: dict[str, Any], pointer: str) -> None:
    assert [one["pointer"] for one in create(api, 400, **more)["errors"]] == [pointer]
    assert api.json("GET", "/tyk/oauth/clients/one") == []


def test_what_cannot_be_changed(api: Operator) -> None:
    create(api, client_id="app")
    assert api.json("PUT", "/tyk/oauth/clients/one/app", {"client_id": "b"}, 400)["code"] == "id-mismatch"
    assert api.json("PUT", "/tyk/oauth/clients/one/app", {"secret": "x" * 20}, 400)["errors"][0]["pointer"] == "/secret"


def test_an_api_that_asks_for_no_tokens(api: Operator) -> None:
    assert api.json("POST", "/tyk/oauth/clients/create", {"api_id": "two"}, 400)["code"] == "invalid-argument"
    assert api.json("POST", "/tyk/oauth/clients/create", {"api_id": "nowhere"}, 404)["code"] == "api-unknown"


def test_the_policy_of_another_organisation(api: Operator) -> None:
    api.json("POST", "/tyk/policies", {"id": "theirs", "org_id": "other", "access_rights": {}})
    assert create(api, 400, policy_id="theirs")["errors"][0]["pointer"] == "/policy_id"


def test_a_login_server_that_reaches_only_the_operators_port(api: Operator) -> None:
    create(api, client_id="app")
    served = api.gateway.live.current.apis["one"]
    served.oauth, served.org_id = True, "default"
    form = {"response_type": "code", "client_id": "app", "redirect_uri": BACK, "key_rules": json.dumps({"rate": 1, "per": 1})}

    def ask(**more: str) -> Any:
        fields = {**form, **more}
        return api.app.test_client().post("/tyk/oauth/authorize-client/", data=fields, headers=api.headers)

    answer = ask()
    assert (answer.status_code, answer.get_json()["redirect_to"].startswith(BACK)) == (200, True)
    assert answer.headers["cache-control"] == "no-store"
    assert [ask(key_rules="").status_code, ask(key_rules="{").status_code] == [400, 400]
    assert [ask(client_id=one).status_code for one in ("nobody", "a\0b", "")] == [404, 404, 404]


def test_a_refresh_token_is_ended_and_stays_out_of_the_logs(api: Operator) -> None:
    assert api.json("DELETE", "/tyk/oauth/refresh/s3cret-token", status=404)["message"] == "Refresh token not found"
    from flask import g

    with api.app.test_request_context("/tyk/oauth/refresh/s3cret-token", method="DELETE", headers=api.headers):
        api.app.preprocess_request()
        assert g.logged_path == "/tyk/oauth/refresh/***"
