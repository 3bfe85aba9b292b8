"""Definitions, policies and keys in the forms of a Tyk, its Dashboard, its database and its Operator."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.cli.importing import cluster_objects, definitions, keys
from services.gateway.cli.importing.items import Item
from tests.unit.gateway.exchanges import document

HTTPBIN = "ZGVmYXVsdC9odHRwYmlu"  # default/httpbin


def resource(kind: str = "ApiDefinition", *, metadata: Any = None, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "tyk.tyk.io/v1alpha1", "kind": kind, "metadata": metadata or {"name": "httpbin"}, "spec": spec}


def of_cluster(*arguments: Any, **spec: Any) -> Item:
    item = cluster_objects.item(resource(*arguments, **spec), "a.yaml")
    assert isinstance(item, Item)
    return item


def test_what_a_dashboard_shows_of_a_definition() -> None:
    item = definitions.definition({"api_definition": document(), "hook_references": [{"hook": {}}], "api_model": {}}, "a.json")
    assert (item.id, item.body) == ("api", document())
    assert item.missing == ("webhooks of the Dashboard (1): create them here, and name them in hook_references",)
    assert definitions.definition(document(), "a.json").missing == ()


def test_what_the_database_of_a_dashboard_holds() -> None:
    """The names of versions are base64 there, because a name in it must not hold a dot."""
    inner = {**document(), "id": {"$oid": "5e9d9544a1dcd60001d0ed20"}, "expire_analytics_after": {"$numberLong": "0"}}
    inner["version_data"] = {"not_versioned": False, "versions": {"djEuMA==": {"name": "v1.0"}}}
    item = definitions.definition({"_id": {"$oid": "5e9d9544a1dcd60001d0ed20"}, "api_definition": inner}, "apis.json")
    assert (item.body["id"], item.body["expire_analytics_after"]) == ("5e9d9544a1dcd60001d0ed20", 0)
    assert item.body["version_data"]["versions"] == {"v1.0": {"name": "v1.0"}}
    kept = {"djEuMA==": {"name": "another"}}
    inner["version_data"] = {"versions": kept}
    again = definitions.definition({"_id": {"$oid": "5e"}, "api_definition": inner}, "apis.json")
    assert again.body["version_data"]["versions"] == kept, "a name that only looks like base64 stays"


def test_a_definition_without_an_api_id_gets_the_name_of_its_file() -> None:
    item = definitions.definition({**document(), "api_id": ""}, "apps/orders.json", "orders")
    assert (item.id, item.body["api_id"], item.differs) == ("orders", "orders", ("it has no api_id: the name of its file is taken",))
    assert "api_id is missing" in definitions.definition({**document(), "api_id": None}, "list.json").refused[0]


def test_a_definition_in_the_openapi_form_is_refused() -> None:
    item = definitions.definition({"openapi": "3.0.3", "info": {"title": "Pets"}, "x-tyk-api-gateway": {}}, "pets.json")
    assert (item.shown, "classic form" in item.refused[0]) == ("Pets", True)


def test_policies() -> None:
    item = definitions.policy({"_id": {"$oid": "5ea1"}, "access_rights": {}, "rate": {"$numberLong": "5"}, "last_updated": "1"}, "p.json")
    assert (item.id, item.body) == ("5ea1", {"access_rights": {}, "rate": 5, "id": "5ea1"})
    assert definitions.policy({"access_rights": {}}, "policies.json", "gold").body["id"] == "gold"
    assert definitions.policy({"access_rights": {}}, "p.json").refused == ("/id: id is missing: write one into it",)
    denied = definitions.policy({"id": "p", "state": "deny", "access_rights": {}, "throttle_interval": 2, "smoothing": None}, "p.json")
    assert denied.body["is_inactive"] is True, "its keys open nothing there"
    assert [line.partition(":")[0] for line in denied.differs] == ["its state is `deny`", "has no effect here"]
    assert definitions.policy({"id": "p", "state": "active", "access_rights": {}, "throttle_interval": -1}, "p.json").differs == ()


def test_a_definition_of_the_operator() -> None:
    """It has the operator's id and defaults: one version, and a key in `Authorization`."""
    item = of_cluster(
        name="httpbin", use_standard_auth=True, proxy={"listen_path": "/h", "target_url": "http://h"}, contextRef={"name": "x"}
    )
    assert (item.id, item.refused) == (HTTPBIN, ())
    assert item.body["version_data"]["not_versioned"] is True
    assert item.body["auth_configs"] == {"authToken": {"auth_header_name": "Authorization"}}
    assert "contextRef" not in item.body
    assert of_cluster(metadata={"name": "b", "namespace": "a"}, api_id="mine", proxy={}).id == "mine"
    assert of_cluster(metadata={"name": "b", "namespace": "a"}, proxy={}).id == "YS9i"
    versions = {"versions": {"v1": {"name": "v1"}}}
    assert of_cluster(version_data=versions, proxy={}).body["version_data"] == versions


def test_what_only_a_cluster_has_is_never_left_out_in_silence() -> None:
    """Without its certificates, an API would be open to other clients, or go to another upstream."""
    item = of_cluster(
        pinned_public_keys_refs={"*": "secret"},
        client_certificate_refs=["ca"],
        upstream_certificate_refs={},
        proxy={"target_internal": {"path": "/"}},
    )
    assert [line.partition(":")[0] for line in item.refused] == [
        "/client_certificate_refs",
        "/pinned_public_keys_refs",
        "/proxy/target_internal",
    ]
    assert "must name another API" in item.refused[-1]


def test_internal_routes_of_the_operator_are_loops() -> None:
    """Another API of the cluster has the id that the Operator gives it, or the one that it brings along."""
    other = {"name": "other", "namespace": "internal"}
    rewrite = {"rewrite_to_internal": {"target": other, "path": "basic/$2", "query": "check_limits=true"}, "triggers": []}
    trigger = {"rewrite_to_internal": {"target": {"name": "near"}, "path": "/near"}}
    item = of_cluster(
        metadata={"name": "front", "namespace": "apps"},
        proxy={"target_url": "", "target_internal": {"target": other}},
        version_data={"versions": {"v1": {"extended_paths": {"url_rewrites": [{**rewrite, "triggers": [trigger]}]}}}},
        config_data={"target_internal": {"target": other}},
    )
    id = "aW50ZXJuYWwvb3RoZXI"
    assert item.refused == ()
    assert item.body["proxy"] == {"target_url": f"tyk://{id}/"}
    assert item.body["version_data"]["versions"]["v1"]["extended_paths"]["url_rewrites"] == [
        {"rewrite_to": f"tyk://{id}/basic/$2?check_limits=true", "triggers": [{"rewrite_to": "tyk://YXBwcy9uZWFy/near"}]}
    ]
    assert item.body["config_data"] == {"target_internal": {"target": other}}, "it is the author's own"
    assert cluster_objects.linked(item, {id: "others-own-id"}).body["proxy"] == {"target_url": "tyk://others-own-id/"}


def test_shares_of_the_operator_are_written_as_text() -> None:
    def breakers(share: object) -> object:
        paths = {"circuit_breakers": [{"path": "/", "threshold_percent": share}]}
        item = of_cluster(proxy={}, version_data={"versions": {"v1": {"extended_paths": paths}}})
        return item.body["version_data"]["versions"]["v1"]["extended_paths"]["circuit_breakers"][0]["threshold_percent"]

    assert [breakers(share) for share in ("0.5", 0.5, "half")] == [0.5, 0.5, "half"]


def test_a_policy_of_the_operator_names_definitions_by_their_resources() -> None:
    rights = [{"name": "httpbin", "versions": ["Default"]}, {"name": "b", "namespace": "a", "api_id": "given"}]
    policy = of_cluster("SecurityPolicy", metadata={"name": "gold", "namespace": "default"}, name="Gold", access_rights_array=rights)
    assert policy.id == "ZGVmYXVsdC9nb2xk"
    assert policy.body["access_rights"] == {
        HTTPBIN: {"versions": ["Default"], "api_id": HTTPBIN},
        "given": {"api_id": "given"},
    }
    linked = cluster_objects.linked(policy, {HTTPBIN: "own"})
    assert set(linked.body["access_rights"]) == {"own", "given"}


def test_other_resources_are_named() -> None:
    assert cluster_objects.item(resource("TykOasApiDefinition"), "a") == (
        "TykOasApiDefinition: only ApiDefinition and SecurityPolicy are taken along"
    )
    assert cluster_objects.item({"apiVersion": "v1", "kind": "Service"}, "a") == "Service: not a resource of Tyk"
    both = {"apiVersion": "v1", "kind": "List", "items": [resource(), resource("SecurityPolicy")]}
    assert [one["kind"] for one in cluster_objects.listed(both)] == ["ApiDefinition", "SecurityPolicy"]


SESSION = {"org_id": "acme", "access_rights": {"one": {"api_id": "one", "versions": ["Default"]}}, "rate": 5, "per": 1}


def test_a_key_keeps_its_secret_and_leaves_its_state_behind() -> None:
    session = {**SESSION, "allowance": 3, "last_check": 17, "quota_max": 10, "quota_remaining": 4, "quota_renews": 99, "alias": "shop"}
    session["access_rights"] = {"one": {"limit": {"rate": 1, "per": 1, "quota_remaining": 3}}}
    item = keys.key("apikey-acme0123456789", session, "dump")
    assert (item.id, item.shown, item.hashed) == ("acme0123456789", "acme… (shop)", False)
    assert item.body["access_rights"] == {"one": {"limit": {"rate": 1, "per": 1}}}
    assert not {"allowance", "last_check", "quota_remaining", "quota_renews"} & set(item.body)
    assert item.differs == ("its quota begins anew (4 of 10 were left)",)
    assert "acme0123456789" not in repr(item), "logs and errors never show a secret"


@pytest.mark.parametrize(("given", "kept"), [(0, -1), (None, -1), (-1, -1), (4102444800, 4102444800)])
def test_a_key_that_has_no_end_gets_none_from_its_policies(given: Any, kept: int) -> None:
    assert keys.key("k", {**SESSION, "expires": given}, "dump").body["expires"] == kept


@pytest.mark.parametrize(
    ("name", "plain", "hashed", "refused"),
    [
        ("f" * 64, False, True, ""),
        ("f" * 64, True, False, ""),
        ("0123abcd", False, True, "murmur3, 32 bits"),
        ("0123abcd" * 4, False, True, "murmur3, 128 bits"),
        ("0123abcd" * 4, True, False, ""),
        ("eyJvcmciOiJhY21lIn0=", False, False, ""),
        ("5e9d9544a1dcd60001d0ed20" + "0123abcd" * 4, False, False, ""),  # organisation and secret
        ("", False, False, "no name"),
    ],
)
def test_a_hash_is_never_taken_for_a_secret(name: str, plain: bool, hashed: bool, refused: str) -> None:
    """Who knows a hash, from a backup or a log, would have a key."""
    item = keys.key(name, SESSION, "dump", plain_names=plain)
    assert item.hashed is hashed
    assert [refused in line for line in item.refused] == [True] * bool(refused)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"basic_auth_data": {"password": "$2a$10$x", "hash_type": "bcrypt"}}, "(bcrypt) cannot be checked here"),
        ({"basic_auth_data": {"password": "$2a$10$x", "hash_type": ""}}, "(bcrypt) cannot be checked here"),
        ({"oauth_client_id": "c"}, "OAuth2"),
        ({"access_rights": {}}, "would open every API"),
        ({"meta_data": {"TykJWTSessionID": "x"}}, "JSON Web Tokens"),
        ({"certificate": "acme" + "f" * 64}, "client certificate"),
    ],
)
def test_sessions_that_are_not_keys_of_their_own(more: dict[str, Any], said: str) -> None:
    assert said in keys.key("acmezoe", {**SESSION, **more}, "dump").refused[0]


def test_a_user_with_a_password_in_clear_is_one_here() -> None:
    item = keys.key("acmezoe", {**SESSION, "basic_auth_data": {"password": "hush", "hash_type": ""}}, "dump")
    assert (item.refused, item.body["basic_auth_data"]["password"]) == ((), "hush")
    nobody = keys.key("acmezoe", {**SESSION, "basic_auth_data": {"password": "", "hash_type": ""}}, "dump")
    assert "basic_auth_data" not in nobody.body


def test_other_entries_of_the_database() -> None:
    assert keys.other("quota-acme1") == "counters of quotas begin anew"
    assert keys.other("apikey-quota-1") == keys.other("acme1") == ""
