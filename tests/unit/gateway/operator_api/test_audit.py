"""The audit: what a write and a refused attempt leave behind, and who may read it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Response
from sqlalchemy.exc import OperationalError

from services.common.core_database import CoreDatabase
from services.gateway.stores import audit as audits
from services.gateway.stores.audit import AUDIT, LARGEST, AuditKeeper, AuditStore, Call, Chosen
from services.gateway.stores.callers import Caller, RecordedDatabase
from services.gateway.stores.hooks import HOOKS
from tests.support.waiting import wait_until

CALL = Call("id-1", "Ada", "", "", "10.0.0.1", "POST", "/api/hooks", "hook", "", "acme", "r-1")


def records(operator: Any, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = operator.json("GET", f"/api/gatehouse/audit?page_size=1000&{query}")["records"]
    return found


def with_key(operator: Any, **changes: Any) -> dict[str, str]:
    made = operator.json("POST", "/api/users", {"first_name": "Ada", "role": "editor", **changes})
    return {"authorization": made["access_key"], "x-tyk-authorization": made["access_key"]}


def test_a_write_leaves_who_what_when_whence_and_why(operator: Any, make_definition: Any) -> None:
    headers = {**with_key(operator), "x-gatehouse-author": "the pipeline", "x-gatehouse-note": "ticket 7"}
    id = operator.json("POST", "/api/apis", {"api_definition": make_definition()}, headers=headers)["Meta"]
    operator.json("PUT", "/tyk/apis/one", make_definition(name="Two"), headers=headers)
    operator.json("DELETE", f"/api/apis/{id}")
    gone, changed, made = records(operator, "kind=api")
    told = {name: made[name] for name in ("operator", "author", "note", "address", "method", "route", "kind", "item", "org_id", "result")}
    assert told == {
        "operator": "Ada",
        "author": "the pipeline",
        "note": "ticket 7",
        "address": "127.0.0.1",
        "method": "POST",
        "route": "/api/apis",
        "kind": "api",
        "item": id,
        "org_id": "default",
        "result": "done",
    }
    assert made["before"] is None and made["after"]["name"] == "One"
    assert (changed["before"]["name"], changed["after"]["name"], changed["route"]) == ("One", "Two", "/tyk/apis/<api_id>")
    assert (gone["operator"], gone["operator_id"], gone["before"]["name"], gone["after"]) == ("operator", "", "Two", None)
    assert abs(dt.datetime.fromisoformat(made["at"]) - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)


def test_every_kind_of_write_is_recorded_without_secrets(operator: Any, make_definition: Any) -> None:
    headers = with_key(operator, role="admin")
    operator.new_api()
    secrets = ["pass-word-1", "hook-secret-1"]
    right = {"access_rights": {"one": {}}}
    hook = {"method": "POST", "target_path": "http://h/", "secret": secrets[1], "header_map": {"Authorization": "credential-1"}}

    def call(method: str, path: str, body: Any = None) -> Any:
        return operator.json(method, path, body, headers=headers)

    key = call("POST", "/api/keys", {**right, "hmac_enabled": True})
    chosen = "chosen-secret-1"
    secrets += [key["key_id"], key["data"]["hmac_string"], chosen, "credential-1", headers["authorization"]]
    call("PUT", f"/tyk/keys/{key['key_id']}", {**right, "alias": "x"})
    secrets.append(call("POST", f"/api/keys/{key['id']}/rotate")["key_id"])
    call("DELETE", f"/api/keys/{key['id']}")
    call("POST", f"/tyk/keys/{chosen}", right)
    call("DELETE", f"/tyk/keys/{chosen}")
    user = call("POST", "/api/apis/keys/basic/u", {**right, "basic_auth_data": {"password": secrets[0]}})
    call("POST", "/api/gatehouse/keys/revoke", {"ids": [user["id"]]})
    id = call("POST", "/api/hooks", hook)["Meta"]
    call("PUT", f"/api/hooks/{id}", hook)
    call("DELETE", f"/api/hooks/{id}")
    for method, path, body in (
        *(("POST", "/tyk/policies", {"id": "p"}), ("PUT", "/tyk/policies/p", {"name": "n"}), ("DELETE", "/tyk/policies/p", None)),
        *(("POST", "/tyk/org/keys/o", {}), ("PUT", "/tyk/org/keys/o", {}), ("DELETE", "/tyk/org/keys/o", None)),
    ):
        call(method, path, body)
    operator_id = call("POST", "/api/users", {"first_name": "B"})["Meta"]
    call("POST", f"/api/users/{operator_id}/rotate")
    call("PUT", f"/api/users/{operator_id}", {"first_name": "C"})
    call("DELETE", f"/api/users/{operator_id}")
    call("GET", "/tyk/reload")
    found = records(operator, "who=Ada")
    assert [(one["method"], one["kind"], one["before"] is not None, one["after"] is not None) for one in reversed(found)] == [
        ("POST", "key", False, True), ("PUT", "key", True, True), ("POST", "key", True, True), ("DELETE", "key", True, False),
        ("POST", "key", False, True), ("DELETE", "key", True, False),
        ("POST", "key", False, True), ("POST", "key", True, False),
        ("POST", "hook", False, True), ("PUT", "hook", True, True), ("DELETE", "hook", True, False),
        ("POST", "policy", False, True), ("PUT", "policy", True, True), ("DELETE", "policy", True, False),
        ("POST", "organisation", False, True), ("PUT", "organisation", True, True), ("DELETE", "organisation", True, False),
        ("POST", "operator", False, True), ("POST", "operator", True, True), ("PUT", "operator", True, True),
        ("DELETE", "operator", True, False),
        ("GET", "api", False, False),
    ]  # fmt: skip
    with operator.gateway.database.read() as connection:
        text = str(connection.execute(sa.select(AUDIT)).all())
    assert [secret for secret in secrets if secret in text] == []
    assert all(one["result"] == "done" for one in found)


def test_what_a_definition_signs_with_is_not_recorded(operator: Any, make_definition: Any) -> None:
    operator.new_api(
        enable_jwt=True, JWT_Signing_Method="hmac", jwt_source="signing-secret-1", notifications={"shared_secret": "shared-secret-1"}
    )
    operator.new_api(api_id="two", listen_path="/two/", enable_jwt=True, jwt_signing_method="rsa", jwt_source="https://keys.example/")
    rsa, hmac = records(operator, "kind=api")
    assert (hmac["after"]["jwt_source"], hmac["after"]["notifications"]["shared_secret"]) == ("***", "***")
    assert rsa["after"]["jwt_source"] == "https://keys.example/"


def test_what_changes_nothing_leaves_nothing(operator: Any, make_definition: Any) -> None:
    operator.new_api()
    before = records(operator)
    body = {"api_definition": make_definition(), "hook_references": []}
    assert operator.json("PUT", "/api/apis/one", body)["Unchanged"]
    operator.json("PUT", "/api/apis/one?dry_run=1", {"api_definition": make_definition(name="Two")})
    operator.json("DELETE", "/tyk/keys/none")
    operator.json("POST", "/api/gatehouse/lint", make_definition())
    operator.json("GET", "/api/apis")
    operator.call("GET", "/api/apis", headers={"authorization": "wrong"})
    operator.call("DELETE", "/api/apis/one", headers={"authorization": "wrong"})
    assert records(operator) == before


def test_refused_attempts_of_who_is_known(operator: Any) -> None:
    headers = with_key(operator, role="reader", org_id="acme")
    operator.call("DELETE", "/api/apis/some", headers=headers)
    operator.call("DELETE", "/tyk/keys/a-secret", headers=headers)
    operator.call("GET", "/api/users", headers=headers)
    operator.call("POST", "/api/hooks", {}, headers={"x-gatehouse-author": "me"})
    operator.call("DELETE", "/tyk/org/keys/none")
    told = [(one["operator"], one["kind"], one["item"], one["result"], one["status"], one["org_id"]) for one in records(operator)[:5]]
    assert told == [
        ("operator", "organisation", "none", "organisation-unknown", 404, ""),
        ("operator", "hook", "", "invalid-hook", 400, ""),
        ("Ada", "operator", "", "operator-forbidden", 403, "acme"),
        ("Ada", "key", "", "operator-forbidden", 403, "acme"),
        ("Ada", "api", "some", "operator-forbidden", 403, "acme"),
    ]
    assert "a-secret" not in json.dumps(records(operator))


def test_a_call_that_finds_no_database_does_not_ask_it_again(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a call has a bound, and an audit that waits as long as the call did would double it."""
    operator.app.register_error_handler(OperationalError, lambda _: Response("away", 503))
    asked = []

    def run(self: Any, work: Any, **_: Any) -> None:
        asked.append(work)
        raise OperationalError("", {}, OSError("away"))

    monkeypatch.setattr(CoreDatabase, "run", run)
    body = {"name": "h", "method": "POST", "target_path": "http://h/"}
    assert (operator.call("POST", "/api/hooks", body).status_code, len(asked)) == (503, 1)


def test_filters_and_pages(operator: Any) -> None:
    headers = with_key(operator)
    hook = {"method": "POST", "target_path": "http://h/"}
    ids = [operator.json("POST", "/api/hooks", {**hook, "name": str(number)}, headers=headers)["Meta"] for number in range(3)]
    operator.json("POST", "/tyk/policies", {"id": "p"}, headers={"x-gatehouse-author": "me"})
    assert [one["item"] for one in records(operator, "kind=hook")] == ids[::-1]
    assert [one["item"] for one in records(operator, f"id={ids[1]}")] == [ids[1]]
    assert [one["kind"] for one in records(operator, "who=me")] == ["policy"]
    ada = records(operator, "kind=hook")[0]["operator_id"]
    assert len(records(operator, f"who={ada}")) == len(records(operator, "who=Ada")) == 3
    page = operator.json("GET", "/api/gatehouse/audit?kind=hook&page_size=2&p=1")
    assert ([one["item"] for one in page["records"]], page["pages"], page["total"]) == ([ids[0]], 1, 3)
    at = records(operator, f"id={ids[1]}")[0]["at"]
    assert [one["item"] for one in records(operator, f"kind=hook&until={at}")] == [ids[0]]
    assert [one["item"] for one in records(operator, f"kind=hook&since={at}")] == [ids[2], ids[1]]
    assert len(records(operator, "since=1970-01-02")) == 5
    assert operator.json("GET", "/api/gatehouse/audit?since=yesterday", status=400)["Code"] == "invalid-argument"


@pytest.mark.parametrize("fails", ["the record", "the write"])
def test_a_write_without_its_record_cannot_be(operator: Any, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    hook = {"method": "POST", "target_path": "http://h/"}
    operator.app.config["PROPAGATE_EXCEPTIONS"] = False

    def fail(*_: Any) -> Any:
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr(*((audits, "_kept", fail) if fails == "the record" else (Caller, "end", fail)))
        assert operator.call("POST", "/api/hooks", hook).status_code == 500
    with operator.gateway.database.read() as connection:
        assert connection.execute(sa.select(HOOKS)).all() == []
        assert connection.execute(sa.select(AUDIT).where(AUDIT.c.result == "done")).all() == []


def test_a_store_that_tells_nothing_is_recorded_all_the_same(operator: Any) -> None:
    """By what the call says; and there is no other way to write."""
    caller = operator.gateway.audit.recorder(CALL)
    database = caller.on(operator.gateway.database)
    assert isinstance(database, RecordedDatabase)
    database.run(lambda connection: connection.execute(sa.delete(HOOKS)))
    with pytest.raises(NotImplementedError):
        database.transaction()
    (found,), _ = operator.gateway.audit.page(Chosen())
    assert (found["kind"], found["org_id"], found["operator"], found["before"], found["after"]) == ("hook", "acme", "Ada", None, None)


def test_what_was_told_in_an_attempt_that_failed_is_forgotten(operator: Any) -> None:
    caller = operator.gateway.audit.recorder(CALL)
    database = caller.on(operator.gateway.database)

    def fails(connection: sa.Connection) -> None:
        caller.tell("hook", "1", None, {})
        raise ValueError

    with pytest.raises(ValueError):
        database.run(fails)
    database.run(lambda connection: caller.tell("hook", "2", None, {"org_id": "acme"}))
    assert [one["item"] for one in operator.gateway.audit.page(Chosen())[0]] == ["2"]


def test_a_large_document_is_left_out(operator: Any) -> None:
    document = {"org_id": "acme", "text": "x" * LARGEST, "deep": [{"Password": "p", "secret": True}]}
    caller = operator.gateway.audit.recorder(CALL)
    caller.on(operator.gateway.database).run(lambda connection: caller.tell("hook", "1", {**document, "text": ""}, document))
    (found,), _ = operator.gateway.audit.page(Chosen())
    assert found["before"] == {"org_id": "acme", "text": "", "deep": [{"Password": "***", "secret": True}]}
    assert list(found["after"]) == ["left_out"]


def test_what_is_old_is_deleted_in_slices_in_the_background(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "_SLICE", 2)
    monkeypatch.setattr(audits, "_PAUSE_S", 0.0)
    store: AuditStore = operator.gateway.audit
    now = dt.datetime.now(dt.UTC)
    for days in (40, 40, 40, 31, 29, 0):
        moment = now - dt.timedelta(days=days)
        monkeypatch.setattr(store._clock, "now", lambda moment=moment: moment)
        store.note(CALL, "done", 200)
    assert store.purge(now - dt.timedelta(days=35)) == 2, "no more than a slice at a time"
    keeper = AuditKeeper(store, 30)
    keeper.start()
    wait_until(lambda: store.page(Chosen())[1] == 2, 30, "the deletion")
    keeper.stop()
    AuditKeeper(store, 0).start()
    assert store.page(Chosen())[1] == 2
