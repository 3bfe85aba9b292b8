"""`/tyk/apis` and `/tyk/reload`: definitions as Tyk's gateway API shows them."""

from __future__ import annotations

from typing import Any

from services.gateway.stores.files import FileDefinitions


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
