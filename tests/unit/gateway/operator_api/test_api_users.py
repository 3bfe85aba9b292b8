"""`/api/users`: operators, their access keys, and what these open."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from services.gateway.operator_key import access_key_hash, new_access_key
from services.gateway.stores.operators import ACCESS_KEYS, Operator, OperatorStore

ADA = {"first_name": "Ada", "last_name": "L", "email_address": "ada@house.example", "org_id": "acme", "role": "editor"}


def created(operator: Any, **changes: Any) -> tuple[str, str]:
    """The id of a new operator and the access key."""
    made = operator.json("POST", "/api/users", {**ADA, **changes})
    return made["Meta"], made["access_key"]


def status(operator: Any, key: str, path: str = "/api/apis", header: str = "authorization", method: str = "GET") -> int:
    answered: int = operator.app.test_client().open(path, method=method, headers={header: key}).status_code
    return answered


def test_one_is_made_read_listed_changed_and_deleted(operator: Any) -> None:
    answer = operator.call("POST", "/api/users", {**ADA, "password": "", "api_model": {}})
    made = answer.get_json()
    assert (made["Status"], made["Message"], answer.headers["Cache-Control"]) == ("OK", "User created", "no-store")
    shown = operator.json("GET", f"/api/users/{made['Meta']}")
    times = {name: shown.pop(name) for name in ("created_at", "updated_at")}
    assert shown == {"api_model": {}, "id": made["Meta"], "active": True, **ADA}
    assert operator.json("GET", "/api/users") == {"users": [{**shown, **times}], "pages": 0}
    assert (
        operator.json("PUT", f"/api/users/{made['Meta']}", {**shown, "role": "admin", "last_name": "Lovelace"})["Message"] == "User updated"
    )
    assert operator.json("GET", f"/api/users/{made['Meta']}")["role"] == "admin"
    assert operator.json("DELETE", f"/api/users/{made['Meta']}")["Message"] == "User deleted"
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/actions/reset")):
        refused = operator.json(method, f"/api/users/{made['Meta']}{path}", None if method != "PUT" else ADA, status=404)
        assert (refused["Code"], refused["Message"]) == ("operator-unknown", "User not found")


def test_only_the_hash_of_a_key_is_kept_and_only_its_creation_shows_it(operator: Any) -> None:
    id, key = created(operator)
    assert (len(key), key[:7]) == (56, "gh_ope_")
    with operator.gateway.database.read() as connection:
        rows = [row._asdict() for row in connection.execute(ACCESS_KEYS.select())]
    assert [(row["hash"], row["operator_id"]) for row in rows] == [(access_key_hash(key.encode()), id)]
    for path in ("/api/users", f"/api/users/{id}", "/api/gatehouse/audit"):
        assert key not in operator.call("GET", path).text


def test_a_key_opens_both_apis_in_its_header_only(operator: Any) -> None:
    _, key = created(operator, role="reader")
    assert status(operator, key) == 200
    assert status(operator, f"Bearer {key}") == 200
    assert status(operator, f"bearer  {key} ") == 200
    assert status(operator, key, "/tyk/apis", "x-tyk-authorization") == 200
    assert status(operator, key, "/tyk/apis") == 403
    assert status(operator, key, "/api/apis", "x-tyk-authorization") == 401
    for wrong in (key[:-1], key + "x", new_access_key(), "gh_ope_", "", key.upper()):
        assert status(operator, wrong) == 401
        refused = operator.app.test_client().get("/tyk/apis", headers={"x-tyk-authorization": wrong})
        assert (refused.status_code, refused.get_json()["message"]) == (403, "Attempted administrative access with invalid or missing key!")


def test_a_wrong_key_is_looked_up_once_and_one_that_is_none_never(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    read = operator.gateway.database.read
    monkeypatch.setattr(operator.gateway.database, "read", lambda: asked.append(1) or read())
    for wrong in ("x" * 56, "gh_ope_" + "0" * 49):
        assert status(operator, wrong) == 401
    assert asked == []
    unknown = new_access_key()
    assert [status(operator, unknown) for _ in range(5)] == [401] * 5
    assert len(asked) == 1


def test_a_key_that_is_rotated_works_until_the_overlap_ends(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    id, old = created(operator)
    answer = operator.call("POST", f"/api/users/{id}/rotate", {"overlap": 60})
    new = answer.get_json()["access_key"]
    assert (answer.headers["Cache-Control"], answer.get_json()["Meta"]) == ("no-store", id)
    assert (status(operator, old), status(operator, new)) == (200, 200)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=61)
    with monkeypatch.context() as patch:
        patch.setattr(operator.gateway.operators._clock, "now", lambda: later)
        assert (status(operator, old), status(operator, new)) == (401, 200)
    newest = operator.json("POST", f"/api/users/{id}/rotate")["access_key"]
    assert [status(operator, key) for key in (old, new, newest)] == [401, 200, 200], "two at a time"
    last = operator.json("POST", f"/api/users/{id}/rotate", {"overlap": 0})["access_key"]
    assert [status(operator, key) for key in (new, newest, last)] == [401, 401, 200]
    assert operator.json("POST", f"/api/users/{id}/rotate", {"overlap": -1}, status=400)["Code"] == "invalid-argument"


def test_who_is_switched_off_or_deleted_is_refused_by_every_worker_at_once(operator: Any) -> None:
    """Another worker has a store of its own, which has seen the key before."""
    id, key = created(operator)
    elsewhere = OperatorStore(operator.gateway.database)
    assert elsewhere.by_key(key.encode()) is not None
    operator.json("PUT", f"/api/users/{id}", {**ADA, "active": False})
    assert (elsewhere.by_key(key.encode()), status(operator, key)) == (None, 401)
    operator.json("PUT", f"/api/users/{id}", {**ADA, "active": True})
    assert status(operator, key) == 200
    operator.json("DELETE", f"/api/users/{id}")
    assert (elsewhere.by_key(key.encode()), status(operator, key)) == (None, 401)


def test_what_is_left_out_stays_as_it_is(operator: Any) -> None:
    id, _ = created(operator, active=False)
    operator.json("PUT", f"/api/users/{id}", {"first_name": "Grace"})
    shown = operator.json("GET", f"/api/users/{id}")
    assert [shown[name] for name in ("first_name", "last_name", "org_id", "role", "active")] == ["Grace", "", "acme", "editor", False]
    assert operator.json("GET", f"/api/users/{operator.json('POST', '/api/users', {'email_address': 'x'})['Meta']}")["role"] == "reader"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"role": "owner"}, "/role"),
        ({"password": "secret"}, "/password"),
        ({"access_key": "mine"}, "/access_key"),
        ({"active": 1}, "/active"),
        ({"org_id": "a b"}, "/org_id"),
        ({"first_name": "a\nb"}, "/first_name"),
        ({"first_name": "", "last_name": " ", "email_address": ""}, "/email_address"),
        ({"email_address": "x" * 201}, "/email_address"),
    ],
)
def test_what_is_wrong_is_named(operator: Any, changes: dict[str, Any], place: str) -> None:
    refused = operator.json("POST", "/api/users", {**ADA, **changes}, status=400)
    assert (refused["Code"], [one["pointer"] for one in refused["Errors"]]) == ("invalid-operator", [place])


def test_there_are_no_passwords(operator: Any) -> None:
    id, _ = created(operator)
    refused = operator.json("POST", f"/api/users/{id}/actions/reset", {"current_password": "a", "new_password": "b"}, status=400)
    assert refused["Code"] == "no-passwords"
    assert operator.json("PUT", f"/api/users/{id}", {**ADA, "id": "other"}, status=400)["Code"] == "id-mismatch"


def test_the_history_names_the_operator(operator: Any, make_definition: Any) -> None:
    _, key = created(operator)
    body = {"api_definition": make_definition(org_id="acme")}
    id = operator.json("POST", "/api/apis", body, headers={"authorization": key})["Meta"]
    body["api_definition"]["name"] = "Two"
    operator.json("PUT", f"/api/apis/{id}", body, headers={"authorization": key, "x-gatehouse-author": "the pipeline"})
    listed = operator.json("GET", f"/api/gatehouse/apis/{id}/revisions")["revisions"]
    assert [one["who"] for one in listed] == ["the pipeline (Ada L)", "Ada L"]


def test_what_an_operator_states_does_not_push_its_name_out_of_the_history(operator: Any, make_definition: Any) -> None:
    for changes, ending in ({}, "(Ada L)"), ({"first_name": "F" * 200, "last_name": "L" * 200}, f"({'F' * 100})"):
        _, key = created(operator, **changes)
        body = {"api_definition": make_definition(org_id="acme", api_id=ending[1:4], listen_path=f"/{ending[1:4]}/")}
        headers = {"authorization": key, "x-gatehouse-author": "bob" + "." * 300}
        id = operator.json("POST", "/api/apis", body, headers=headers)["Meta"]
        [first] = operator.json("GET", f"/api/gatehouse/apis/{id}/revisions")["revisions"]
        assert (first["who"].startswith("bob..."), first["who"].endswith(" " + ending), len(first["who"])) == (True, True, 200)


def test_a_change_of_a_name_does_not_switch_on_who_is_switched_off_meanwhile(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    id, key = created(operator)
    get = OperatorStore.get

    def switched_off_after(self: OperatorStore, id: str) -> Operator | None:
        found = get(self, id)
        monkeypatch.undo()
        operator.json("PUT", f"/api/users/{id}", {"first_name": "Ada", "active": False, "role": "reader"})
        return found

    monkeypatch.setattr(OperatorStore, "get", switched_off_after)
    operator.json("PUT", f"/api/users/{id}", {"first_name": "Ada", "last_name": "King"})
    shown = operator.json("GET", f"/api/users/{id}")
    assert (shown["active"], shown["role"], shown["last_name"]) == (False, "reader", "King")
    assert operator.call("GET", "/api/apis", headers={"authorization": key}).status_code == 401
