"""Policies below `/api/portal/policies` and `/tyk/policies`, and the keys that name them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.gateway.keys.model import Key, secret_hash
from services.gateway.stores.policy_files import FilePolicies

GOLD = {"id": "gold", "name": "Gold", "rate": 5, "per": 1, "quota_max": 50, "access_rights": {"one": {"versions": ["Default"]}}}


@pytest.fixture
def api(operator: Any) -> Any:
    operator.new_api()
    operator.gateway.published.clear()
    return operator


def opened(operator: Any, secret: str) -> Key:
    found: Key = operator.gateway.keys_store.by_hash(secret_hash(secret)).key
    return found


def test_one_is_made_read_changed_listed_and_deleted(api: Any) -> None:
    made = api.json("POST", "/api/portal/policies", {**GOLD, "unknown": 1})
    assert made == {"Status": "OK", "Message": "gold", "Meta": "gold"}
    right = {"api_id": "one", "api_name": "One", "versions": ["Default"]}
    stored = {**GOLD, "unknown": 1, "org_id": "default", "access_rights": {"one": right}}
    assert api.json("GET", "/api/portal/policies/gold") == {"_id": "gold", **stored}
    assert api.json("GET", "/tyk/policies/gold") == stored
    assert api.json("PUT", "/api/portal/policies/gold", {"name": "Silver", "_id": "gold"})["Message"] == "Data updated"
    assert api.json("GET", "/api/portal/policies")["Data"] == [
        {"_id": "gold", "id": "gold", "name": "Silver", "org_id": "default", "access_rights": {}}
    ]
    assert api.json("DELETE", "/api/portal/policies/gold")["Message"] == "Data deleted"
    assert api.json("GET", "/api/portal/policies") == {"Data": [], "Pages": 0}
    assert api.gateway.published == [{"*"}] * 3


def test_the_same_in_the_form_of_the_gateway(api: Any) -> None:
    made = api.json("POST", "/tyk/policies", {"name": "n"})
    assert (made["action"], len(made["key"])) == ("added", 24)
    assert api.json("PUT", f"/tyk/policies/{made['key']}", {"name": "m"})["action"] == "modified"
    assert [one["name"] for one in api.json("GET", "/tyk/policies")] == ["m"]
    assert api.json("DELETE", f"/tyk/policies/{made['key']}")["action"] == "deleted"
    for method in ("GET", "PUT", "DELETE"):
        refused = api.json(method, f"/tyk/policies/{made['key']}", {} if method == "PUT" else None, status=404)
        assert (refused["message"], refused["code"]) == ("Policy not found", "policy-unknown")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"access_rights": {"none": {}}}, "/access_rights/none"),
        ({"partitions": {"per_api": True, "acl": True}}, "/partitions/per_api"),
        ({"partitions": {"qota": True}}, "/partitions/qota"),
        ({"rate": "5"}, "/rate"),
        ({"id": "a b"}, "/id"),
        ({"quota_mx": 5}, "/quota_mx"),
        ({"key_expires_in": 1.5}, "/key_expires_in"),
    ],
)
def test_what_is_wrong_is_named(api: Any, changes: dict[str, Any], place: str) -> None:
    refused = api.json("POST", "/api/portal/policies", {**GOLD, **changes}, status=400)
    assert refused["Code"] == "invalid-policy"
    assert [one["pointer"] for one in refused["Errors"]] == [place]


def test_ids(api: Any) -> None:
    api.json("POST", "/api/portal/policies", GOLD)
    assert api.json("POST", "/api/portal/policies", GOLD, status=409)["Code"] == "policy-taken"
    assert api.json("PUT", "/api/portal/policies/gold", {**GOLD, "id": "other"}, status=400)["Code"] == "id-mismatch"


def test_a_key_does_what_its_policy_says_as_soon_as_it_says_so(api: Any) -> None:
    api.json("POST", "/api/portal/policies", GOLD)
    made = api.json("POST", "/api/keys", {"apply_policies": ["gold"], "rate": 1000, "per": 1})
    assert made["data"]["rate"] == 1000  # what the key says itself stays as it is
    key = opened(api, made["key_id"])
    assert (key.rate, key.quota_max, set(key.access_rights or ())) == (5, 50, {"one"})
    assert api.json("GET", "/api/apis/one/keys")["data"]["keys"] == [made["id"]]
    api.json("GET", f"/api/apis/one/keys/{made['id']}")
    api.json("PUT", "/api/portal/policies/gold", {**GOLD, "rate": 7})
    assert api.gateway.published[-1] == {"*"}
    assert opened(api, made["key_id"]).rate == 7


def test_a_policy_in_use_is_deleted_only_on_purpose(api: Any) -> None:
    api.json("POST", "/api/portal/policies", GOLD)
    made = api.json("POST", "/api/keys", {"apply_policy_id": "gold"})
    refused = api.json("DELETE", "/tyk/policies/gold", status=409)
    assert (refused["code"], refused["message"]) == ("policy-in-use", "The policy is in use by 1 key")
    api.json("DELETE", "/tyk/policies/gold?force=1")
    assert opened(api, made["key_id"]).is_inactive


def test_a_policy_no_key_names_any_more_may_go(api: Any) -> None:
    api.json("POST", "/api/portal/policies", GOLD)
    one, two = (api.json("POST", "/api/keys", {"apply_policies": ["gold"]}) for _ in range(2))
    api.json("PUT", f"/api/keys/{one['id']}", {"access_rights": {"one": {}}})
    api.json("DELETE", f"/api/keys/{two['id']}")
    api.json("DELETE", "/tyk/policies/gold")
    assert not opened(api, one["key_id"]).is_inactive


def test_key_and_policy_are_of_one_organisation(api: Any) -> None:
    api.json("POST", "/api/portal/policies", {"id": "a", "org_id": "acme"})
    api.json("POST", "/api/portal/policies", {"id": "b", "org_id": "other"})
    assert api.json("POST", "/api/keys", {"apply_policies": ["a"]})["data"]["org_id"] == "acme"
    refused = api.json("POST", "/api/keys", {"apply_policies": ["a", "b"]}, status=400)
    assert [one["pointer"] for one in refused["Errors"]] == ["/apply_policies/1"]
    refused = api.json("POST", "/api/keys", {"apply_policies": ["a"], "org_id": "other"}, status=400)
    assert [one["pointer"] for one in refused["Errors"]] == ["/apply_policies/0"]


def test_the_end_that_a_policy_gives_to_new_keys(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    api.json("POST", "/api/portal/policies", {**GOLD, "key_expires_in": 60})
    assert api.json("POST", "/api/keys", {"apply_policies": ["gold"]})["data"]["expires"] == 1060
    assert api.json("POST", "/api/keys", {"apply_policies": ["gold"], "expires": 5})["data"]["expires"] == 5


def test_a_new_state_begins_the_quotas_of_its_policies_again(api: Any) -> None:
    api.json("POST", "/api/portal/policies", GOLD)
    api.json("POST", "/api/portal/policies", {**GOLD, "id": "two", "access_rights": {"two": {}}}, status=400)
    api.new_api(api_id="two", proxy={"listen_path": "/two/", "target_url": "http://h/"})
    api.json("POST", "/api/portal/policies", {**GOLD, "id": "iron", "access_rights": {"two": {}}})
    made = api.json("POST", "/api/keys", {"apply_policies": ["gold", "iron"]})
    api.json("PUT", f"/api/keys/{made['id']}", {"apply_policies": ["gold", "iron"]})
    assert api.gateway.reset == [f"q:{made['id']}", f"q:{made['id']}:gold", f"q:{made['id']}:iron"]


def test_a_policy_gives_its_keys_what_signatures_are_made_with(api: Any, make_session: Any) -> None:
    """Also a key that there was before the policy had it, when it is saved; and it stays until nothing asks for it."""
    api.json("POST", "/api/portal/policies", GOLD)
    made = api.json("POST", "/api/keys", {"apply_policies": ["gold"]})
    assert "hmac_string" not in made["data"]
    api.json("PUT", "/api/portal/policies/gold", {**GOLD, "hmac_enabled": True})
    begun = api.json("PUT", f"/api/keys/{made['id']}", {"apply_policies": ["gold"]})["Meta"]["hmac_string"]
    assert opened(api, made["key_id"]).hmac_secret == begun
    assert not api.json("PUT", f"/api/keys/{made['id']}", {"apply_policies": ["gold"]})["Meta"]
    assert opened(api, made["key_id"]).hmac_secret == begun
    new = api.json("POST", f"/api/keys/{made['id']}/rotate", {"overlap": 60})
    assert opened(api, new["key_id"]).hmac_secret == new["data"]["hmac_string"] != begun
    other = api.json("POST", "/api/keys", {"apply_policies": ["gold"]})
    assert opened(api, other["key_id"]).hmac_secret == other["data"]["hmac_string"]
    api.json("PUT", f"/api/keys/{other['id']}", make_session("one"))
    assert opened(api, other["key_id"]).hmac_secret is None
    assert not api.gateway.keys_store.can_sign(other["id"])


def test_policies_of_a_file_are_read_and_not_written(api: Any, tmp_path: Path) -> None:
    file = tmp_path / "policies.json"
    file.write_text(json.dumps({"gold": {**GOLD, "access_rights": {}}}))
    api.gateway.policies = FilePolicies(api.gateway.database, file, api.gateway.definitions.known)
    assert [one["id"] for one in api.json("GET", "/tyk/policies")] == ["gold"]
    for method, path in (("POST", ""), ("PUT", "/gold"), ("DELETE", "/gold")):
        refused = api.json(method, f"/tyk/policies{path}", {} if method != "DELETE" else None, status=409)
        assert refused["code"] == "policies-from-files"
        assert api.json(method, f"/api/portal/policies{path}", {}, status=409)["Code"] == "policies-from-files"
    file.write_text(json.dumps({"gold": {"rate": "x"}}))
    api.gateway.policies.reload()
    refused = api.json("GET", "/tyk/reload/", status=400)
    assert [one["pointer"] for one in refused["errors"]] == ["policies.json#/gold/rate"]


def test_a_change_gives_a_key_no_policy_of_another_organisation(operator: Any) -> None:
    operator.new_api()
    operator.json("POST", "/tyk/policies", {"id": "theirs", "org_id": "theirs", "access_rights": {"one": {}}})
    made = operator.json("POST", "/api/keys", {"org_id": "ours", "access_rights": {"one": {}}})
    for path in (f"/api/keys/{made['id']}", f"/tyk/keys/{made['key_id']}?api_id=-1"):
        operator.json("PUT", path, {"apply_policies": ["theirs"]}, status=400)
    assert "apply_policies" not in operator.json("GET", f"/api/keys/{made['id']}")["data"]
