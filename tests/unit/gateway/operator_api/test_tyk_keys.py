"""`/tyk/keys`: keys as Tyk's gateway API shows them."""

from __future__ import annotations

from typing import Any

from services.gateway.keys.model import secret_hash
from tests.support.waiting import wait_until


def test_a_created_key(operator: Any, make_session: Any) -> None:
    operator.new_api()
    made = operator.json("POST", "/tyk/keys/create", make_session("one"))
    assert (made["status"], made["action"]) == ("ok", "added")
    assert operator.gateway.keys_store.by_hash(secret_hash(made["key"])) is not None
    assert operator.json("GET", f"/tyk/keys/{made['key']}?api_id=one")["rate"] == 100
    assert operator.json("GET", "/tyk/keys/?api_id=one")["keys"] == [made["key_hash"]]


def test_a_named_key(operator: Any, make_session: Any) -> None:
    operator.new_api()
    made = operator.json("POST", "/tyk/keys/1234", make_session("one"), headers={"content-type": "application/x-www-form-urlencoded"})
    assert (made["key"], made["action"]) == ("default1234", "added")
    assert operator.gateway.keys_store.by_hash(secret_hash("default1234")) is not None
    for name in ("1234", "default1234"):
        changed = operator.json("PUT", f"/tyk/keys/{name}?suppress_reset=1", make_session("one", rate=3))
        assert (changed["key"], changed["action"]) == ("default1234", "modified"), "the name that opens it"
        assert operator.json("POST", f"/tyk/keys/{name}?suppress_reset=1", make_session("one", rate=3))["key"] == "default1234"
    assert operator.json("PUT", f"/tyk/keys/{made['key_hash']}?suppress_reset=1", make_session("one"))["key"] == made["key_hash"]
    assert operator.gateway.reset == []
    operator.json("PUT", "/tyk/keys/1234", make_session("one"))
    assert operator.gateway.reset == [f"q:{made['key_hash']}"]
    assert len(operator.json("GET", "/tyk/keys")["keys"]) == 1
    assert operator.json("DELETE", "/tyk/keys/1234?api_id=one") == {"key": "1234", "status": "ok", "action": "deleted"}
    assert operator.json("DELETE", "/tyk/keys/1234")["action"] == "deleted"
    assert operator.json("PUT", "/tyk/keys/9999", make_session("one"))["action"] == "added"


def test_of_two_who_make_one_key_the_second_changes_it(operator: Any, make_session: Any) -> None:
    operator.new_api()
    store = operator.gateway.keys_store
    create = store.create

    def somebody_is_quicker(hash: str, session: Any, **more: Any) -> Any:
        store.create = create
        create(hash, {**session, "alias": "first"}, **more)
        return create(hash, session, **more)

    store.create = somebody_is_quicker
    answer = operator.json("PUT", "/tyk/keys/both", make_session("one", alias="second"))
    assert (answer["key"], answer["action"]) == ("defaultboth", "modified")
    assert operator.json("GET", "/tyk/keys/both")["alias"] == "second"
    assert len(operator.json("GET", "/tyk/keys")["keys"]) == 1


def test_a_secret_that_was_rotated_away_is_not_given_again(operator: Any, make_session: Any) -> None:
    operator.new_api()
    made = operator.json("POST", "/tyk/keys/old", make_session("one"))
    operator.json("POST", f"/api/keys/{made['key_hash']}/rotate", {"overlap": 0.001})
    wait_until(lambda: operator.gateway.keys_store.by_hash(secret_hash("defaultold")) is None)
    assert "choose another name" in operator.json("PUT", "/tyk/keys/old", make_session("one"), status=409)["message"]


def test_keys_that_cannot_be(operator: Any, make_session: Any) -> None:
    operator.new_api()
    assert operator.json("GET", "/tyk/keys/unknown?api_id=one", status=404)["message"] == "Key not found"
    assert operator.json("GET", "/tyk/keys/unknown?api_id=none", status=400)["message"] == "API not found"
    assert operator.json("PUT", "/tyk/keys/k", status=400)["message"] == "Request malformed"
    operator.json("POST", "/tyk/keys/create", make_session("ghost"), status=400)
    operator.json("POST", "/tyk/keys/a%20b", make_session("one"), status=400)
    operator.json("POST", "/tyk/keys/%C3%A9", make_session("one"), status=400)
    operator.json("POST", "/tyk/keys/" + "k" * 300, make_session("one"), status=400)


def test_a_key_by_the_hash_of_its_secret(operator: Any, make_session: Any) -> None:
    """As a Tyk keeps its keys that hashes them with SHA-256: the client's secret opens it, and nobody else knows it."""
    operator.new_api()
    hash = secret_hash("what only the client knows")
    made = operator.json("POST", f"/tyk/keys/{hash}?hashed=1", make_session("one", alias="shop"))
    assert (made["key"], made["action"], len(made["key_hash"])) == (hash, "added", 24)
    assert operator.gateway.keys_store.by_hash(hash).key.alias == "shop"
    assert operator.gateway.keys_store.by_hash(secret_hash(hash)) is None, "the hash itself is no secret"
    assert operator.json("POST", f"/tyk/keys/{hash}?hashed=true&suppress_reset=1", make_session("one", rate=7))["action"] == "modified"
    assert operator.json("GET", f"/tyk/keys/{hash}?hashed=1")["rate"] == 7
    operator.json("GET", f"/tyk/keys/{secret_hash('another')}?hashed=1", status=404)
    for wrong in ("abcd", hash.upper()):
        assert "SHA-256" in str(operator.json("POST", f"/tyk/keys/{wrong}?hashed=1", make_session("one"), status=400))
    for more in ({"basic_auth_data": {"password": "hush"}}, {"certificate": "f" * 64}):
        assert "known by the hash" in str(operator.json("POST", f"/tyk/keys/{hash}?hashed=1", {**make_session("one"), **more}, status=400))
    assert len(operator.json("GET", "/tyk/keys")["keys"]) == 1


def test_a_key_is_changed_and_deleted_by_the_hash_of_its_secret(operator: Any, make_session: Any) -> None:
    operator.new_api()
    hash = secret_hash("of a client")
    assert operator.json("PUT", f"/tyk/keys/{hash}?hashed=1", make_session("one"))["action"] == "added"
    assert operator.json("PUT", f"/tyk/keys/{hash}?hashed=1", make_session("one", rate=7))["action"] == "modified"
    assert operator.json("GET", f"/tyk/keys/{hash}?hashed=1")["rate"] == 7
    assert operator.gateway.keys_store.by_hash(secret_hash(hash)) is None, "the hash itself is no secret"
    for _ in range(2):
        assert operator.json("DELETE", f"/tyk/keys/{hash}?hashed=1")["action"] == "deleted"
        assert operator.gateway.keys_store.by_hash(hash) is None


def test_of_two_who_store_one_hash_the_second_changes_it(operator: Any, make_session: Any) -> None:
    operator.new_api()
    store, hash = operator.gateway.keys_store, secret_hash("both")
    create = store.create

    def somebody_is_quicker(hash: str, session: Any, **more: Any) -> Any:
        store.create = create
        create(hash, {**session, "alias": "first"}, **more)
        return create(hash, session, **more)

    store.create = somebody_is_quicker
    assert operator.json("POST", f"/tyk/keys/{hash}?hashed=1", make_session("one", alias="second"))["action"] == "modified"
    assert operator.json("GET", f"/tyk/keys/{hash}?hashed=1")["alias"] == "second"


def test_an_operator_of_one_organisation_stores_no_hash(operator: Any, make_session: Any) -> None:
    """Nobody can tell whose user, certificate or secret a hash is of, so it could take the place of another organisation's."""
    operator.new_api()
    made = operator.json("POST", "/api/users", {"first_name": "Ada", "role": "admin", "org_id": "default"})
    headers = {"x-tyk-authorization": made["access_key"]}
    assert "of all organisations" in str(
        operator.json("POST", f"/tyk/keys/{secret_hash('x')}?hashed=1", make_session("one"), status=400, headers=headers)
    )
