"""`/tyk`: Tyk's own gateway API."""

from __future__ import annotations

from typing import Any

from services.gateway.keys.model import secret_hash
from services.gateway.stores.files import FileDefinitions
from tests.support.waiting import wait_until


def test_wrong_or_absent_secret_is_403(operator: Any) -> None:
    for method, path in (("GET", "/tyk/apis/"), ("POST", "/tyk/keys/create"), ("GET", "/tyk/reload/"), ("DELETE", "/tyk/keys/x")):
        for given in ("12345", ""):
            body = operator.json(method, path, status=403, headers={"x-tyk-authorization": given})
            assert body["status"] == "error"
            assert body["message"] == "Attempted administrative access with invalid or missing key!"


def test_definitions(operator: Any, make_definition: Any) -> None:
    assert operator.json("POST", "/tyk/apis/", make_definition()) == {"key": "one", "status": "ok", "action": "added"}
    assert [one["api_id"] for one in operator.json("GET", "/tyk/apis/")] == ["one"]
    assert operator.json("GET", "/tyk/apis/one")["proxy"]["listen_path"] == "/one/"
    assert operator.json("PUT", "/tyk/apis/one", make_definition(name="New"))["action"] == "modified"
    assert operator.json("POST", "/tyk/apis", make_definition(name="Newer"))["action"] == "added"
    assert operator.json("GET", "/tyk/apis/one")["name"] == "Newer"
    operator.json("PUT", "/tyk/apis/one", make_definition(api_id="other"), status=400)
    assert operator.json("DELETE", "/tyk/apis/one") == {"key": "one", "status": "ok", "action": "deleted"}
    assert operator.json("GET", "/tyk/apis/one", status=404)["message"] == "API not found"
    operator.json("DELETE", "/tyk/apis/one", status=404)
    operator.json("DELETE", "/tyk/apis/", status=400)
    assert operator.gateway.published == ["definitions"] * 4


def test_of_two_who_make_one_api_the_second_replaces_it(operator: Any, make_definition: Any) -> None:
    store = operator.gateway.definitions
    create = store.create

    def somebody_is_quicker(raw: Any, references: Any, **more: Any) -> Any:
        store.create = create
        create({**raw, "id": "quicker", "name": "first"}, references, **more)
        return create(raw, references, **more)

    store.create = somebody_is_quicker
    assert operator.json("POST", "/tyk/apis", make_definition(name="second"))["action"] == "added"
    assert [(one["number"], one["action"]) for one in operator.json("GET", "/api/gatehouse/apis/one/revisions")["revisions"]] == [
        (2, "updated"),
        (1, "created"),
    ]
    assert operator.json("GET", "/tyk/apis/one")["name"] == "second"
    taken = make_definition(api_id="two", id="quicker", listen_path="/two/")
    assert operator.json("POST", "/tyk/apis", taken, status=409)["code"] == "api-id-taken"


def test_mistakes(operator: Any, make_definition: Any) -> None:
    assert operator.json("POST", "/tyk/apis/", "{", status=400)["message"] == "Request malformed"
    assert operator.json("POST", "/tyk/apis/mismatch", status=400)["message"] == "Request malformed"
    body = operator.json("POST", "/tyk/apis/", make_definition(listen_path=""), status=400)
    assert body["errors"][0]["pointer"] == "/proxy/listen_path"
    assert "listen_path" in body["message"]


def test_reload_waits_for_every_worker(operator: Any) -> None:
    assert operator.json("GET", "/tyk/reload/?block=true") == {"status": "ok", "message": ""}
    operator.gateway.unconfirmed = ["worker-2"]
    assert operator.json("GET", "/tyk/reload/group") == {"status": "ok", "message": "", "unconfirmed": ["worker-2"]}
    assert operator.gateway.published == ["reload"] * 2


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


def test_files_are_the_only_truth(operator: Any, make_definition: Any, make_session: Any, tmp_path: Any) -> None:
    import json

    (tmp_path / "one.json").write_text(json.dumps(make_definition()))
    operator.gateway.definitions = FileDefinitions(tmp_path)
    id = operator.json("GET", "/api/apis")["apis"][0]["api_definition"]["id"]
    calls = [
        ("POST", "/api/apis", {"api_definition": make_definition()}), ("PUT", f"/api/apis/{id}", {"api_definition": make_definition()}),
        ("DELETE", f"/api/apis/{id}", None), ("POST", f"/api/gatehouse/apis/{id}/revisions/1/restore", None),
        ("POST", "/tyk/apis", make_definition()), ("PUT", "/tyk/apis/one", make_definition()), ("DELETE", "/tyk/apis/one", None),
    ]  # fmt: skip
    for method, path, body in calls:
        assert "files" in operator.call(method, path, body).text
        operator.json(method, path, body, status=409)
    operator.json("POST", "/api/keys", make_session("one"))
    (tmp_path / "two.json").write_text(json.dumps(make_definition(api_id="two", listen_path="/two/")))
    operator.json("GET", "/tyk/reload")
    assert len(operator.json("GET", "/tyk/apis")) == 2
