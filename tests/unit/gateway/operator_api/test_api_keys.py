"""`/api/keys`, `/api/apis/{id}/keys`: secrets are shown once, and every change reaches the workers before the answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from services.gateway.keys.model import secret_hash, user_hash
from services.gateway.stores.keys import KeyStore, StoredKey

METHOD = {"name": "GET", "limit": {"rate": 5, "per": 60}}


def endpoint(entry: Any) -> dict[str, Any]:
    """Rights to the API with one rate of a path."""
    return {"access_rights": {"one": {"endpoints": [entry]}}}


def test_a_secret_is_shown_once(operator: Any, make_session: Any) -> None:
    id = operator.new_api()
    made = operator.call("POST", "/api/keys", make_session("one", alias="ann", tags=["t"], owner="team"))
    assert made.headers["Cache-Control"] == "no-store"
    body = made.get_json()
    secret = body["key_id"]
    assert re.fullmatch("default[0-9a-f]{32}", secret)
    assert body["data"]["access_rights"]["one"] == {"api_id": "one", "api_name": "One", "versions": ["Default"]}
    assert operator.gateway.published[-1] == {secret_hash(secret)}
    for path in (
        "/api/keys",
        f"/api/apis/{id}/keys",
        f"/api/keys/{body['id']}",
        f"/api/apis/{id}/keys/{body['id']}",
        "/tyk/keys",
        f"/tyk/keys/{body['id']}",
    ):
        assert secret not in operator.call("GET", path).text
    listed = operator.json("GET", f"/api/apis/{id}/keys")
    assert listed["data"]["keys"] == [body["id"]]
    details = listed["data"]["details"][0]
    assert (details["alias"], details["owner"], details["tags"], details["last_used_at"]) == ("ann", "team", ["t"], None)
    assert listed["pages"] == 0


def test_the_database_holds_only_the_hash(operator: Any, make_session: Any) -> None:
    operator.new_api()
    secret = operator.json("POST", "/api/keys", make_session("one"))["key_id"]
    operator.json("POST", "/api/apis/keys/basic/zoe", make_session("one", basic_auth_data={"password": "hush-hush"}))
    with operator.gateway.keys_store._database.engine.connect() as connection:
        tables = sa.inspect(connection).get_table_names()
        everything = "".join(str(row) for table in tables for row in connection.execute(sa.text(f'SELECT * FROM "{table}"')))
    assert secret not in everything
    assert "hush-hush" not in everything
    assert secret_hash(secret) in everything


def test_a_key_is_found_by_id_and_by_secret(operator: Any, make_session: Any) -> None:
    operator.new_api()
    made = operator.json("POST", "/api/keys", make_session("one", quota_max=7))
    for name in (made["id"], made["key_id"]):
        read = operator.json("GET", f"/api/apis/one/keys/{name}")
        assert (read["key_id"], read["data"]["quota_max"]) == (made["id"], 7)
    operator.json("GET", "/api/keys/nobody", status=404)
    operator.new_api(api_id="two", listen_path="/two/")
    operator.json("GET", f"/api/apis/two/keys/{made['id']}", status=404)
    assert operator.json("GET", "/api/apis/two/keys")["data"]["keys"] == []
    operator.json("GET", "/api/apis/nothing/keys", status=404)


def test_update_resets_the_quota_unless_told_not_to(operator: Any, make_session: Any) -> None:
    operator.new_api()
    made = operator.json("POST", "/api/keys", make_session("one"))
    counter = f"q:{made['id']}"
    path = f"/api/apis/one/keys/{made['id']}"
    assert operator.json("PUT", f"{path}?suppress_reset=1", make_session("one", rate=5)) == {
        "Status": "OK",
        "Message": "Key updated",
        "Meta": "",
    }
    assert counter not in operator.gateway.reset
    operator.json("PUT", path, make_session("one", rate=6))
    assert counter in operator.gateway.reset
    assert operator.gateway.published[-1] == {secret_hash(made["key_id"])}
    assert operator.json("GET", path)["data"]["rate"] == 6


def test_delete_reaches_the_workers(operator: Any, make_session: Any) -> None:
    operator.new_api()
    made = operator.json("POST", "/api/keys", make_session("one"))
    operator.gateway.unconfirmed = ["worker-2"]
    answer = operator.json("DELETE", f"/api/apis/one/keys/{made['id']}")
    assert answer == {"Status": "OK", "Message": "Key deleted succesfully", "Meta": "", "Unconfirmed": ["worker-2"]}
    assert operator.gateway.published[-1] == {secret_hash(made["key_id"])}
    assert operator.gateway.keys_store.by_hash(secret_hash(made["key_id"])) is None
    operator.json("DELETE", f"/api/keys/{made['id']}", status=404)


def test_rotation_overlaps(operator: Any, make_session: Any) -> None:
    operator.new_api()
    first = operator.json("POST", "/api/keys", make_session("one"))
    second = operator.json("POST", f"/api/keys/{first['id']}/rotate", {"overlap": 60})
    assert second["id"] == first["id"]
    assert second["key_id"] != first["key_id"]
    store = operator.gateway.keys_store
    old, new = store.by_hash(secret_hash(first["key_id"])), store.by_hash(secret_hash(second["key_id"]))
    assert old.key == new.key
    assert new.until is None
    assert old.until is not None
    assert len(new.key.hashes) == 2
    assert operator.gateway.published[-1] == {secret_hash(first["key_id"]), secret_hash(second["key_id"])}
    third = operator.json("POST", f"/api/keys/{first['id']}/rotate", {"overlap": 0})
    assert store.by_hash(secret_hash(first["key_id"])) is None
    assert store.by_hash(secret_hash(second["key_id"])) is None
    assert store.by_hash(secret_hash(third["key_id"])) is not None
    operator.json("POST", f"/api/keys/{first['id']}/rotate")
    for wrong in (-1, "60", True, 1e12):
        operator.json("POST", f"/api/keys/{first['id']}/rotate", {"overlap": wrong}, status=400)


def test_every_mistake_of_a_session_is_named(operator: Any, make_session: Any) -> None:
    operator.new_api()
    wrong = make_session("one", "ghost", rate="many", per=-3, is_inactive="no", tags=[1], expires=1.5)
    wrong["access_rights"]["one"]["api_id"] = "other"
    body = operator.json("POST", "/api/keys", wrong, status=400)
    assert {one["pointer"] for one in body["Errors"]} == {
        "/rate", "/per", "/is_inactive", "/tags/0", "/expires", "/access_rights/ghost", "/access_rights/one/api_id",
    }  # fmt: skip
    assert operator.json("GET", "/api/keys")["data"]["keys"] == []
    operator.json("POST", "/api/keys", make_session(access_rights=["one"]), status=400)
    operator.json("POST", "/api/keys", make_session(access_rights={"one": {"versions": "Default"}}), status=400)
    operator.json(
        "POST", "/api/keys", make_session(access_rights={"one": {"allowed_urls": [{"url": "(", "methods": ["GET"]}]}}), status=400
    )
    operator.json("POST", "/api/keys", "{", status=403)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"apply_policies": ["gold"], "access_rights": {}}, "/apply_policies/0"),
        ({"Apply_Policy_Id": "gold"}, "/Apply_Policy_Id"),
        ({"certificate": "abc"}, "/certificate"),
        ({"mtls_static_certificate_bindings": ["abc"]}, "/mtls_static_certificate_bindings/0"),
        ({"session_lifetime": "60"}, "/session_lifetime"),
        ({"monitor": {"trigger_limits": [80, 0]}}, "/monitor/trigger_limits/1"),
        ({"monitor": {"trigger_limits": [100.5]}}, "/monitor/trigger_limits/0"),
        ({"monitor": {"trigger_limits": [True]}}, "/monitor/trigger_limits/0"),
        ({"monitor": {"trigger_limits": 80}}, "/monitor/trigger_limits"),
        ({"monitor": {"trigger_limits": [1] * 101}}, "/monitor/trigger_limits"),
        ({"monitor": {"triger_limits": [80]}}, "/monitor/triger_limits"),
        ({"access_rights": {"one": {"limit": {"rate": "1", "per": 10}}}}, "/access_rights/one/limit/rate"),
        ({"access_rights": {"one": {"limit": {"quota_max": -5}}}}, "/access_rights/one/limit/quota_max"),
        ({"access_rights": {"one": {"limit": 5}}}, "/access_rights/one/limit"),
        (endpoint({"path": "/a"}), "/access_rights/one/endpoints/0/methods"),
        (endpoint({"methods": [METHOD]}), "/access_rights/one/endpoints/0/path"),
        (endpoint({"path": "(", "methods": [METHOD]}), "/access_rights/one/endpoints/0/path"),
        (endpoint({"path": "/a", "methods": [{"name": "GET"}]}), "/access_rights/one/endpoints/0/methods/0/limit"),
        (endpoint({"path": "/a", "methods": [{**METHOD, "name": "a b"}]}), "/access_rights/one/endpoints/0/methods/0/name"),
        (
            endpoint({"path": "/a", "methods": [{**METHOD, "limit": {"rate": "5", "per": 1}}]}),
            "/access_rights/one/endpoints/0/methods/0/limit/rate",
        ),
        (
            endpoint({"path": "/a", "methods": [{**METHOD, "limit": {"raet": 5, "per": 1}}]}),
            "/access_rights/one/endpoints/0/methods/0/limit",
        ),
        (endpoint({"path": "/a", "method": "GET", "methods": [METHOD]}), "/access_rights/one/endpoints/0/method"),
        (endpoint("/a"), "/access_rights/one/endpoints/0"),
        ({"access_rights": {"one": {"endpoints": [{"path": "/a", "methods": [METHOD]}] * 1001}}}, "/access_rights/one/endpoints"),
    ],
)
def test_what_would_open_more_than_was_meant_is_refused(operator: Any, make_session: Any, changes: dict[str, Any], place: str) -> None:
    operator.new_api()
    refused = operator.json("POST", "/api/keys", make_session("one", **changes), status=400)
    assert [one["pointer"] for one in refused["Errors"]] == [place]
    none = {"apply_policies": None, "apply_policy_id": "", "certificate": "", "session_lifetime": -1}
    rights = {"one": {"versions": ["Default"], "limit": {"rate": 5, "per": 0, "quota_max": -1}, "endpoints": []}}
    operator.json("POST", "/api/keys", make_session(**none, access_rights=rights))


def test_rates_of_paths_shares_and_lifetimes_are_kept(operator: Any, make_session: Any) -> None:
    operator.new_api()
    given = {"Path": "/a", "methods": [{"name": "get", "limit": {"rate": 5, "per": -1}, "id": "x"}]}
    rights = {"one": {"versions": ["Default"], "endpoints": [given], "limit": {"Rate": 7, "per": 1}}}
    made = operator.json(
        "POST", "/api/keys", make_session(access_rights=rights, monitor={"Trigger_Limits": [80, 95.5]}, session_lifetime=60)
    )
    kept = [{"path": "/a", "methods": [{"name": "GET", "limit": {"rate": 5, "per": -1}}]}]
    assert made["data"]["access_rights"]["one"]["endpoints"] == kept
    assert (made["data"]["monitor"], made["data"]["session_lifetime"]) == ({"trigger_limits": [80, 95.5]}, 60)
    key = operator.gateway.keys_store.by_hash(secret_hash(made["key_id"])).key
    assert (key.lifetime, key.limits["one"].rate) == (60, 7), "case does not count in names"
    policy = operator.json("POST", "/tyk/policies", {"id": "p", "access_rights": rights})
    assert operator.json("GET", f"/tyk/policies/{policy['key']}")["access_rights"]["one"]["endpoints"] == kept
    refused = operator.json("POST", "/tyk/policies", {"id": "q", **endpoint({"path": "/a"})}, status=400)
    assert [one["pointer"] for one in refused["errors"]] == ["/access_rights/one/endpoints/0/methods"]


def test_a_password_is_hashed_however_its_field_is_written(operator: Any, make_session: Any) -> None:
    operator.new_api()
    operator.json("POST", "/api/apis/keys/basic/zoe", make_session("one", basic_auth_data={"Password": "hush-hush"}))
    [stored], _ = operator.gateway.keys_store.page()
    assert stored.session["basic_auth_data"]["password"].startswith("$argon2id$")
    assert "hush-hush" not in str(stored.session)


@pytest.mark.parametrize("name", ["rate", "per", "quota_renewal_rate", "allowance"])
def test_numbers_of_limits(operator: Any, make_session: Any, name: str) -> None:
    operator.new_api()
    for right in (0, -1, 0.5, 2.0, 2**53, None):
        operator.json("POST", "/api/keys", make_session("one", **{name: right}))
    for wrong in (-2, -0.5, 2**53 + 2, 1e300, 10**400):
        errors = operator.json("POST", "/api/keys", make_session("one", **{name: wrong}), status=400)["Errors"]
        assert errors == [{"pointer": f"/{name}", "message": "must be a number from 0 to 9007199254740992, or -1 (no limit)"}]


def test_a_method_that_no_request_has_is_a_mistake(operator: Any, make_session: Any) -> None:
    operator.new_api()
    rights = {"one": {"versions": ["Default"], "allowed_urls": [{"url": "/a", "methods": ["GET", "post"]}]}}
    errors = operator.json("POST", "/api/keys", make_session(access_rights=rights), status=400)["Errors"]
    assert [one["pointer"] for one in errors] == ["/access_rights/one/allowed_urls/0/methods/1"]


def test_the_quota_stays_when_every_api_of_the_key_says_so(operator: Any, make_session: Any) -> None:
    operator.new_api(dont_set_quota_on_create=True)
    operator.new_api(api_id="two", listen_path="/two/")
    made = operator.json("POST", "/api/keys", make_session("one"))
    operator.json("PUT", f"/api/keys/{made['id']}", make_session("one", rate=5))
    assert operator.gateway.reset == []
    operator.json("PUT", f"/api/keys/{made['id']}", make_session("one", "two"))
    operator.json("PUT", f"/api/keys/{made['id']}", make_session())
    assert operator.gateway.reset == [f"q:{made['id']}"] * 2


def test_a_key_is_not_a_user(operator: Any, make_session: Any) -> None:
    operator.new_api()
    operator.json("POST", "/tyk/keys/zoe", make_session("one"))
    user = make_session("one", basic_auth_data={"password": "hush-hush"})
    assert "not a user" in operator.json("POST", "/api/apis/keys/basic/zoe", user, status=409)["Message"]
    assert "basic_auth_data" not in operator.json("GET", "/tyk/keys/zoe")


def test_a_master_key_is_listed_with_every_api(operator: Any, make_session: Any) -> None:
    operator.new_api()
    made = operator.json("POST", "/api/keys", make_session())
    assert operator.gateway.keys_store.by_hash(secret_hash(made["key_id"])).key.access_rights is None
    assert operator.json("GET", "/api/apis/one/keys")["data"]["keys"] == [made["id"]]


def test_a_basic_user(operator: Any, make_session: Any) -> None:
    operator.new_api()
    body = make_session("one", basic_auth_data={"password": "hush-hush"})
    made = operator.call("POST", "/api/apis/keys/basic/zoe", body)
    assert made.get_json()["key_id"] == "defaultzoe"
    assert "hush-hush" not in made.text
    assert "argon2" not in made.text
    store = operator.gateway.keys_store
    assert store.by_hash(secret_hash("defaultzoe")) is None, "the name alone must not open what asks for a key"
    kept = store.by_hash(user_hash("defaultzoe")).key.session["basic_auth_data"]["password"]
    assert kept.startswith("$argon2id$")
    assert PasswordHasher().verify(kept, "hush-hush")
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(kept, "other")
    operator.json("PUT", "/api/apis/one/keys/defaultzoe", make_session("one", basic_auth_data={"password": ""}))
    assert store.by_hash(user_hash("defaultzoe")).key.session["basic_auth_data"]["password"] == kept
    operator.json("POST", "/api/apis/keys/basic/zoe", make_session("one", basic_auth_data={"password": "new"}))
    assert PasswordHasher().verify(store.by_hash(user_hash("defaultzoe")).key.session["basic_auth_data"]["password"], "new")
    operator.json("POST", "/api/apis/keys/basic/amy", make_session("one"), status=400)
    operator.json("POST", "/api/apis/keys/basic/a:b", body, status=400)
    operator.json("POST", "/api/keys/defaultzoe/rotate", status=400)
    operator.json("DELETE", "/tyk/keys/zoe?api_id=one")
    assert store.by_hash(user_hash("defaultzoe")) is None


def test_an_hmac_secret_is_made_and_stays(operator: Any, make_session: Any) -> None:
    operator.new_api()
    made = operator.json("POST", "/api/keys", make_session("one", hmac_enabled=True, hmac_string=""))
    assert len(made["data"]["hmac_string"]) == 44
    changed = operator.json("PUT", f"/api/keys/{made['id']}", make_session("one", hmac_enabled=True))
    assert changed["Meta"] == ""
    assert "hmac_string" not in operator.json("GET", f"/tyk/keys/{made['id']}")
    assert "hmac_string" not in operator.json("GET", f"/api/keys/{made['id']}")["data"]
    found = operator.gateway.keys_store.by_hash(secret_hash(made["key_id"]))
    assert found.key.hmac_secret == made["data"]["hmac_string"]


def test_an_hmac_secret_begins_is_given_and_ends(operator: Any, make_session: Any) -> None:
    operator.new_api()

    def of_key() -> str | None:
        secret: str | None = operator.gateway.keys_store.by_hash(secret_hash(made["key_id"])).key.hmac_secret
        return secret

    made = operator.json("POST", "/api/keys", make_session("one"))
    assert of_key() is None
    begun = operator.json("PUT", f"/api/keys/{made['id']}", make_session("one", hmac_enabled=True))
    assert of_key() == begun["Meta"]["hmac_string"] != ""
    operator.json("PUT", f"/api/keys/{made['id']}", make_session("one", hmac_enabled=True, hmac_string="given"))
    assert of_key() == "given"
    operator.json("PUT", f"/api/keys/{made['id']}", make_session("one"))
    assert of_key() is None


def test_a_rotation_gives_a_new_hmac_secret_beside_the_former(operator: Any, make_session: Any) -> None:
    operator.new_api()
    store = operator.gateway.keys_store
    former = operator.json("POST", "/api/keys", make_session("one", hmac_enabled=True))
    new = operator.json("POST", f"/api/keys/{former['id']}/rotate", {"overlap": 60})
    for key in (former, new):
        assert store.by_hash(secret_hash(key["key_id"])).key.hmac_secret == key["data"]["hmac_string"]
    assert former["data"]["hmac_string"] != new["data"]["hmac_string"]


def test_the_organisation_of_the_api_stands_before_the_secret(operator: Any, make_session: Any) -> None:
    operator.new_api(org_id="acme")
    without = make_session("one")
    del without["org_id"]
    made = operator.json("POST", "/api/keys", without)
    assert made["key_id"].startswith("acme")
    assert made["data"]["org_id"] == "acme"


def test_handlers_of_the_api_hear_of_keys(operator: Any, make_session: Any) -> None:
    handlers = {event: [{"handler_name": "eh_log_handler", "handler_meta": {"prefix": "p"}}] for event in ("TokenCreated", "TokenDeleted")}
    operator.new_api(event_handlers={"events": handlers})
    operator.new_api(api_id="two", listen_path="/two/")
    made = operator.json("POST", "/api/keys", make_session("one"))
    operator.json("PUT", f"/api/keys/{made['id']}", make_session("one"))
    operator.json("POST", "/api/keys", make_session("two"))
    operator.json("DELETE", f"/api/keys/{made['id']}")
    assert [(event, api.api_id) for event, api, _ in operator.gateway.fired] == [("TokenCreated", "one"), ("TokenDeleted", "one")]
    assert operator.gateway.fired[0][2] == {"Message": "Key generated.", "Org": "default", "Key": made["id"]}


@pytest.mark.usefixtures("log_restored")
def test_a_secret_in_a_path_does_not_reach_the_log(gateway: Any, capsys: Any) -> None:
    from services.common.app import create_app
    from services.common.logging import configure
    from services.gateway.operator_api.blueprints import blueprints
    from services.gateway.operator_api.web import EXTENSION

    configure("gateway")
    app = create_app("gateway", version="1")
    app.extensions[EXTENSION] = gateway
    for blueprint in blueprints():
        app.register_blueprint(blueprint)
    client = app.test_client()
    headers = {"authorization": gateway.operator_key, "x-tyk-authorization": gateway.operator_key}
    for path in (
        "/tyk/keys/topsecret",
        "/tyk/keys/topsecret/",
        "/tyk//keys/topsecret",
        "/api/keys/topsecret",
        "/api/apis/a/keys/topsecret",
        "/tyk/keys/x/topsecret",
        "/TYK/Keys/topsecret",
    ):
        for method in ("GET", "DELETE", "PATCH"):
            client.open(path, method=method, headers=headers)
            client.open(path, method=method)
    client.get("/api/apis", headers=headers)
    logged = capsys.readouterr()
    assert "topsecret" not in logged.out + logged.err
    assert "/tyk/keys/***" in logged.out + logged.err
    assert '"/api/apis"' in logged.out + logged.err


def test_keys_are_revoked_together_or_not_at_all(operator: Any, make_session: Any) -> None:
    operator.new_api()
    ids = [operator.json("POST", "/api/keys", make_session("one"))["id"] for _ in range(2)]
    path, published = "/api/gatehouse/keys/revoke", len(operator.gateway.published)
    refused = operator.json("POST", path, {"ids": [ids[0], "nope", ids[1], "nada"]}, status=404)
    assert (refused["Code"], [one["pointer"] for one in refused["Errors"]]) == ("key-not-found", ["/ids/1", "/ids/3"])
    assert set(operator.json("GET", "/api/keys")["data"]["keys"]) == set(ids)
    assert (len(operator.gateway.published), operator.gateway.reset) == (published, [])
    done = operator.json("POST", path, {"ids": [*ids, ids[0]]})
    assert (done["Status"], sorted(done["Meta"])) == ("OK", sorted(ids))
    assert len(operator.gateway.published) == published + 1, "one announcement for all"
    assert len(operator.gateway.reset) == 2
    operator.json("POST", path, {"ids": ids}, status=404)
    for wrong in ({}, {"ids": []}, {"ids": "x"}, {"ids": [1]}, {"ids": ["x"] * 1001}):
        operator.json("POST", path, wrong, status=400)


def test_a_thousand_keys_are_revoked_in_few_statements(operator: Any, make_session: Any) -> None:
    """One after the other, they take so long that callers give up."""
    operator.new_api()
    operator.json("POST", "/tyk/policies", {"id": "basic", **make_session("one")})
    made = [operator.json("POST", "/api/keys", make_session("one")) for _ in range(3)]
    made += [operator.json("POST", "/api/keys", {"apply_policies": ["basic"]}) for _ in range(30)]
    named = [made[0]["id"], made[1]["key_id"], made[2]["key_id"].removeprefix("default"), *(key["id"] for key in made[3:])]
    statements: list[str] = []
    sa.event.listen(operator.gateway.keys_store._database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    unknown = [f"nobody{number}" for number in range(1000 - len(named))]
    refused = operator.json("POST", "/api/gatehouse/keys/revoke", {"ids": [*unknown, *named]}, status=404)
    assert len(refused["Errors"]) == len(unknown)
    assert len(statements) < 30
    statements.clear()
    done = operator.json("POST", "/api/gatehouse/keys/revoke", {"ids": named})
    assert sorted(done["Meta"]) == sorted(key["id"] for key in made)
    assert len(statements) < 30


def test_a_key_that_goes_meanwhile_stops_the_others_from_being_revoked(operator: Any, make_session: Any) -> None:
    operator.new_api()
    one, two = (operator.json("POST", "/api/keys", make_session("one"))["id"] for _ in range(2))
    delete_all = operator.gateway.keys_store.delete_all

    def and_one_is_gone_already(ids: Any) -> Any:
        delete_all([one])
        return delete_all(ids)

    operator.gateway.keys_store.delete_all = and_one_is_gone_already
    refused = operator.json("POST", "/api/gatehouse/keys/revoke", {"ids": [two, one]}, status=404)
    assert [place["pointer"] for place in refused["Errors"]] == ["/ids/1"]
    assert operator.json("GET", "/api/keys")["data"]["keys"] == [two]


def test_a_custom_key_opens_by_both_names(operator: Any, make_session: Any) -> None:
    operator.new_api()
    store = operator.gateway.keys_store
    made = operator.json("POST", "/tyk/keys/bob", make_session("one"))
    assert made["key"] == "defaultbob"
    both = {secret_hash("bob"), secret_hash("defaultbob")}
    assert operator.gateway.published[-1] == both
    ids = {store.by_hash(hash).key.id for hash in both}
    assert ids == {made["key_hash"]}
    assert operator.json("GET", "/tyk/keys")["keys"] == [made["key_hash"]]
    for name in ("bob", "defaultbob", made["key_hash"]):
        assert operator.json("GET", f"/tyk/keys/{name}")["rate"] == 100
        operator.json("PUT", f"/tyk/keys/{name}", make_session("one", rate=100))
    assert operator.json("POST", "/tyk/keys/defaultbob", make_session("one"))["key_hash"] == made["key_hash"]
    operator.json("DELETE", "/tyk/keys/bob")
    assert operator.gateway.published[-1] == both
    assert [store.by_hash(hash) for hash in both] == [None, None]


def test_a_custom_key_that_is_named_with_its_organisation_opens_by_both_names(operator: Any, make_session: Any) -> None:
    """As the keys are that a Tyk gives out: they come along with their secrets."""
    operator.new_api()
    made = operator.json("POST", "/tyk/keys/default0123456789abcdef", make_session("one"))
    assert made["key"] == "default0123456789abcdef"
    for name in ("default0123456789abcdef", "0123456789abcdef"):
        assert operator.gateway.keys_store.by_hash(secret_hash(name)).key.id == made["key_hash"]
    operator.json("POST", "/tyk/keys/default", make_session("one"), status=400)


@pytest.mark.parametrize("overlap", [0, 60])
def test_both_names_of_a_custom_key_are_rotated(operator: Any, make_session: Any, overlap: int) -> None:
    operator.new_api()
    store = operator.gateway.keys_store
    made = operator.json("POST", "/tyk/keys/bob", make_session("one"))
    rotated = operator.json("POST", "/api/keys/bob/rotate", {"overlap": overlap})
    assert rotated["id"] == made["key_hash"]
    for name in ("bob", "defaultbob"):
        opened = store.by_hash(secret_hash(name))
        assert (opened is None) == (overlap == 0)
        assert opened is None or opened.until is not None
    assert operator.gateway.published[-1] >= {secret_hash("bob"), secret_hash("defaultbob")}
    assert store.by_hash(secret_hash(rotated["key_id"])).until is None
    operator.json("POST", f"/api/keys/{made['key_hash']}/rotate", {"overlap": 0})
    assert [store.by_hash(secret_hash(name)) for name in ("bob", "defaultbob")] == [None, None]


def test_one_name_in_two_organisations(operator: Any, make_session: Any) -> None:
    """The name alone opens one key: the second organisation's must have another, and nothing is done to the first."""
    operator.new_api(org_id="acme")
    operator.new_api(api_id="two", listen_path="/two/")
    made = operator.json("POST", "/tyk/keys/bob", make_session("one", org_id="acme"))
    assert made["key"] == "acmebob"
    refused = operator.json("POST", "/tyk/keys/bob", make_session("two", org_id="default"), status=409)
    assert "another organisation" in refused["message"]
    operator.json("GET", "/tyk/keys/bob?api_id=two", status=404)
    operator.json("DELETE", "/tyk/keys/bob?api_id=two")
    kept = operator.json("GET", "/tyk/keys/bob?api_id=one")
    assert (kept["org_id"], list(kept["access_rights"])) == ("acme", ["one"])
    assert operator.json("GET", "/tyk/keys/bob") == kept


def test_a_session_as_a_tyk_keeps_it(operator: Any, make_session: Any) -> None:
    operator.new_api()
    right = {"api_name": "One", "api_id": "one", "versions": ["Default"], "allowed_urls": [], "restricted_types": None, "limit": None,
             "field_access_rights": None, "disable_introspection": False, "allowance_scope": ""}  # fmt: skip
    kept = make_session(
        access_rights={"one": right}, last_check=0, allowance=1000, throttle_interval=-1, throttle_retry_limit=-1, max_query_depth=-1,
        date_created="2024-05-01T10:00:00Z", quota_renews=1714557600, quota_remaining=-1, oauth_client_id="", oauth_keys=None,
        certificate="", basic_auth_data={"password": "", "hash_type": ""}, jwt_data={"secret": ""}, hmac_enabled=False, hmac_string="",
        enable_http_signature_validation=False, rsa_certificate_id="", is_inactive=False, apply_policy_id="", apply_policies=None,
        data_expires=0, monitor={"trigger_limits": None}, enable_detail_recording=False, meta_data=None, tags=None, alias="",
        last_updated="1714557600", id_extractor_deadline=0, session_lifetime=0, mtls_static_certificate_bindings=None,
    )  # fmt: skip
    secret = "eyJvcmciOiJkZWZhdWx0IiwiaWQiOiJhYmMiLCJoIjoibXVybXVyNjQifQ=="
    operator.json("POST", f"/tyk/keys/{secret}", kept)
    assert operator.gateway.keys_store.by_hash(secret_hash(secret)) is not None


@pytest.mark.parametrize(
    ("session", "place", "said"),
    [
        ({"acces_rights": {"one": {}}}, "/acces_rights", "did you mean `access_rights`?"),
        ({"accessRights": {"one": {}}}, "/accessRights", "did you mean `access_rights`?"),
        ({"isInactive": True}, "/isInactive", "did you mean `is_inactive`?"),
        ({"quotamax": 5}, "/quotamax", "did you mean `quota_max`?"),
        ({"access_rights": {"one": {"allowed_url": []}}}, "/access_rights/one/allowed_url", "did you mean `allowed_urls`?"),
        ({"data": {"access_rights": {"one": {}}}}, "/data", "send what stands in `data`"),
        ({"basic_auth_data": {"password": "$2a$10$x", "hash_type": "bcrypt"}}, "/basic_auth_data/password", "cannot be taken over"),
    ],
)
def test_misspelled_fields_of_a_session(operator: Any, session: dict[str, Any], place: str, said: str) -> None:
    operator.new_api()
    (error,) = operator.json("POST", "/api/keys", session, status=400)["Errors"]
    assert error["pointer"] == place
    assert said in error["message"]


def test_a_change_without_a_password_does_not_bring_back_one_that_was_changed_meanwhile(
    operator: Any, make_session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.new_api()
    path = "/api/keys/" + operator.json("POST", "/api/apis/keys/basic/zoe", make_session("one", basic_auth_data={"password": "old"}))["id"]
    replace = KeyStore.replace

    def changed_before(self: KeyStore, id: str, session_object: Any) -> StoredKey:
        monkeypatch.undo()
        operator.json("PUT", path, make_session("one", basic_auth_data={"password": "new"}))
        return replace(self, id, session_object)

    monkeypatch.setattr(KeyStore, "replace", changed_before)
    operator.json("PUT", path, make_session("one", alias="Zoe"))
    [key] = operator.gateway.keys_store.page()[0]
    assert key.session["alias"] == "Zoe"
    assert PasswordHasher().verify(key.session["basic_auth_data"]["password"], "new")


def test_a_name_is_not_taken_for_that_of_an_organisation_that_begins_the_same(operator: Any, make_session: Any) -> None:
    operator.new_api()
    user = "/api/apis/keys/basic/"
    theirs = make_session("one", org_id="a", basic_auth_data={"password": "p"})
    id = operator.json("POST", user + "bc", theirs)["id"]
    ours = make_session("one", org_id="ab", basic_auth_data={"password": "q"})
    assert operator.call("POST", user + "c", ours).status_code == 409
    operator.json("POST", "/tyk/keys/bd", make_session("one", org_id="a"))
    assert operator.call("POST", "/tyk/keys/d", make_session("one", org_id="ab")).status_code == 409
    assert {stored.session["org_id"] for stored in operator.gateway.keys_store.page()[0]} == {"a"}
    assert operator.json("GET", "/api/keys/abc")["key_id"] == id
