"""Actions over HTTP, as their account manages them."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from services.common.database import Database
from services.devices.actions.service import actions
from services.devices.models import Action, ActionState, outbox
from tests.unit.devices.actions.conftest import TARGET, Deliveries, Writer, an_action, cool, create, hot
from tests.unit.devices.conftest import ACC, ACC2, ACC_READ, ACC_WRITE, ANALYSIS, API, refused, result

BODY = "Error on Body parameters"


def test_create_and_show(api: API) -> None:
    device = api.device()
    made = result(api.post("/action", an_action(hot(device.id, variable="Temp"), cool(device.id), tags=[{"key": "k", "value": "v"}])), 201)
    assert made.keys() == {"action", "secret"}
    assert made["secret"].startswith("whsec_")
    shown = result(api.get(f"/action/{made['action']}"))
    assert shown == {
        "id": made["action"],
        "name": "too hot",
        "description": None,
        "active": True,
        "type": "condition",
        "tags": [{"key": "k", "value": "v"}],
        "trigger": [hot(device.id), cool(device.id)],
        "action": {"type": "post", "url": TARGET, "headers": {"X-Key": "k"}},
        "lock": False,
        "last_triggered": None,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
    }


def test_the_secret_is_shown_once_and_stored_sealed(api: API) -> None:
    device = api.device()
    made = result(api.post("/action", an_action(hot(device.id))), 201)
    renewed = result(api.post(f"/action/{made['action']}/secret"), 201)["secret"]
    assert renewed != made["secret"]
    everything = api.get("/action?fields=*").text + api.get(f"/action/{made['action']}").text
    with api.parts.database.read() as session:
        everything += str(session.execute(sa.select(Action.__table__)).all())
    for secret in (made["secret"], renewed):
        assert secret not in everything
        assert secret.removeprefix("whsec_") not in everything


def test_edit(api: API) -> None:
    device = api.device()
    action = create(api, hot(device.id), description="d")
    api.clock.move(60)
    url = "https://other.example/"
    assert (
        result(api.put(f"/action/{action}", {"name": "warm", "active": False, "action": {"type": "post", "url": url}}))
        == "Successfully Updated"
    )
    shown = result(api.get(f"/action/{action}"))
    assert (shown["name"], shown["active"], shown["description"], shown["trigger"]) == ("warm", False, "d", [hot(device.id)])
    assert shown["action"] == {"type": "post", "url": url, "headers": {}}
    assert shown["updated_at"] == "2026-01-01T00:01:00.000Z"
    assert result(api.put(f"/action/{action}", {"trigger": [cool(device.id, unlock=False)]})) == "Successfully Updated"
    assert result(api.get(f"/action/{action}"))["trigger"] == [cool(device.id, unlock=False)]
    assert result(api.put(f"/action/{action}", {})) == "Successfully Updated"


def test_what_is_read_can_be_written(api: API) -> None:
    """As a program edits: read the whole, change a field, write the whole; also when a device is gone meanwhile."""
    device = api.device()
    action = create(api, hot(device.id))
    with api.parts.database.transaction() as session:
        session.execute(sa.text("DELETE FROM devices"))
    whole = result(api.get(f"/action/{action}"))
    assert result(api.put(f"/action/{action}", {**whole, "name": "another"})) == "Successfully Updated"
    assert result(api.get(f"/action/{action}"))["trigger"] == [hot(device.id)]


def test_delete(api: API, writer: Writer) -> None:
    device = api.device()
    action = create(api, hot(device.id), cool(device.id))
    assert writer.send(device, 96) == 1
    assert result(api.delete(f"/action/{action}")) == "Successfully Removed"
    refused(api.get(f"/action/{action}"), 404, "Invalid Action ID")
    refused(api.delete(f"/action/{action}"), 404, "Invalid Action ID")
    with api.parts.database.read() as session:
        for table in (Action.__table__, ActionState.__table__, outbox.deliveries):
            assert session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0


def test_list(api: API) -> None:
    device = api.device()
    for name in ("bravo", "alpha", "charlie"):
        create(api, hot(device.id), name=name, active=name != "alpha")
    create(api, hot(api.device(by=ACC2).id), by=ACC2, name="delta")
    assert [one["name"] for one in result(api.get("/action"))] == ["alpha", "bravo", "charlie"]
    assert result(api.get("/action"))[0].keys() == {"id", "name", "tags"}
    query = "page=1&fields%5B0%5D=name&fields%5B1%5D=active&amount=20&orderBy=name%2Cdesc&filter%5Bactive%5D=true"
    found = result(api.get(f"/action?{query}"))
    assert [(one["name"], one["active"]) for one in found] == [("charlie", True), ("bravo", True)]
    assert refused(api.get("/action?amount=0"), 400, "Error on Query String parameters").keys() == {"amount"}


def test_who_may(api: API) -> None:
    """Only the account itself, by its permission; another account's action is not there."""
    device = api.device()
    action = create(api, hot(device.id))
    for token in (device.token, ANALYSIS, ACC_READ):
        refused(api.post("/action", an_action(hot(device.id)), token), 403, "Authorization denied")
        refused(api.delete(f"/action/{action}", token), 403, "Authorization denied")
    refused(api.get("/action", ACC_WRITE), 403, "Authorization denied")
    refused(api.get("/action", "unknown"), 401, "Authorization denied")
    assert result(api.get(f"/action/{action}", ACC_READ))["action"]["headers"] == {"X-Key": "***"}
    another = (
        api.get(f"/action/{action}", ACC2),
        api.put(f"/action/{action}", {}, ACC2),
        api.delete(f"/action/{action}", ACC2),
        api.post(f"/action/{action}/secret", token=ACC2),
        api.get(f"/action/{action}/deliveries", ACC2),
        api.post(f"/action/{action}/deliveries/msg_1/replay", token=ACC2),
        api.get("/action/nonsense"),
        api.get("/action/ABCDEF0123456789abcdef01"),
    )
    for answer in another:
        refused(answer, 404, "Invalid Action ID")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "name"),
    ({"name": "ab"}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"type": "interval"}, "type"),
    ({"trigger": []}, "trigger"),
    ({"trigger": "x"}, "trigger"),
    ({"trigger": [{}]}, "trigger.0.variable"),
    ({"trigger": [hot("a" * 24)]}, "trigger.0.device"),
    ({"trigger": [hot("nonsense\0")]}, "trigger.0.device"),
    ({"trigger": [hot("")]}, "trigger.0.device"),
    ({"trigger": [hot("a" * 24, value="x")]}, "trigger.0.value"),
    ({"trigger": [hot("a" * 24, value=[1])]}, "trigger.0.value"),
    ({"trigger": [hot("a" * 24, **{"is": ">="})]}, "trigger.0.is"),
    ({"trigger": [hot("a" * 24, value_type="date")]}, "trigger.0.value_type"),
    ({"trigger": [hot("a" * 24)] * 21}, "trigger"),
    ({"trigger": [hot("a" * 24, unlock=True)]}, "trigger.0.unlock"),
    ({"trigger": [hot("a" * 24, unlock="yes")]}, "trigger.0.unlock"),
    ({"action": None}, "action"),
    ({"action": {"type": "email", "url": TARGET}}, "action.type"),
    ({"action": {"type": "post"}}, "action.url"),
    ({"action": {"type": "post", "url": "ftp://a/"}}, "action.url"),
    ({"action": {"type": "post", "url": TARGET, "headers": {"Host": "x"}}}, "action.headers.Host"),
    ({"action": {"type": "post", "url": TARGET, "headers": {"X-A": 1}}}, "action.headers.X-A.value"),
    ({"action": {"type": "post", "url": TARGET, "headers": []}}, "action.headers"),
    ({"tags": [{"key": "k", "value": "v"}] * 31}, "tags"),
    ({"active": "true"}, "active"),
    ({"trigger_when_unlock": True}, "trigger_when_unlock"),
    ({"action": {"type": "post", "url": TARGET, "fallback_token": "x"}}, "action.fallback_token"),
]


def test_refused_bodies(api: API) -> None:
    """Each mistake is named by its field, in a new action and in a changed one; nothing is stored."""
    device = api.device()
    action = create(api, hot(device.id))
    for changed, wrong in REFUSED:
        assert wrong in refused(api.post("/action", an_action(hot(device.id), **changed)), 400, BODY), changed
        assert wrong in refused(api.put(f"/action/{action}", changed), 400, BODY), changed
    assert result(api.get("/action?fields=name")) == [{"id": action, "name": "too hot", "tags": []}]


def test_not_json(api: API) -> None:
    for body in ("{", "[]", "7", '{"name": NaN}', "[" * 100_000):
        refused(api.send("POST", "/action", ACC, data=body), 400, BODY)


def test_a_device_of_another_account(api: API) -> None:
    other = api.device(by=ACC2)
    wrong = refused(api.post("/action", an_action(hot(other.id))), 400, BODY)
    assert wrong == {"trigger.0.device": ["Invalid Device ID"]}


def test_actions_of_an_account_are_limited(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MOST_ACTIONS", 2)
    device = api.device()
    create(api, hot(device.id))
    action = create(api, hot(device.id))
    refused(api.post("/action", an_action(hot(device.id))), 400, "The account has reached the limit of 2 actions")
    create(api, hot(api.device(by=ACC2).id), by=ACC2)
    result(api.delete(f"/action/{action}"))
    create(api, hot(device.id))


def test_deliveries_and_replay(api: API, writer: Writer, deliveries: Deliveries) -> None:
    device = api.device()
    url = f"{TARGET}?key=secret"
    action = create(api, hot(device.id), action={"type": "post", "url": url, "headers": {"Authorization": "secret"}})
    other = create(api, cool(device.id, unlock=False))
    assert writer.send(device, 96) == 1
    api.clock.move(1)
    assert writer.send(device, 97) == 1
    second, first = deliveries(action)
    assert first == {
        "id": first["id"],
        "device": device.id,
        "url": TARGET,
        "state": "pending",
        "attempts": 0,
        "created_at": "2026-01-01T00:00:00.000Z",
        "next_at": "2026-01-01T00:00:00.000Z",
        "ended_at": None,
        "last_status": None,
        "last_error": None,
    }
    assert second["id"] != first["id"]
    assert result(api.get(f"/action/{action}/deliveries?amount=1&page=2")) == [first]
    assert result(api.get(f"/action/{action}/deliveries?state=dead")) == []
    assert refused(api.get(f"/action/{action}/deliveries?state=x"), 400, "Error on Query String parameters").keys() == {"state"}
    assert refused(api.get(f"/action/{action}/deliveries?page=x"), 400, "Error on Query String parameters").keys() == {"page"}
    assert deliveries(other) == []
    _end(api.parts.database, first["id"])
    assert result(api.get(f"/action/{action}/deliveries?state=dead"))[0]["last_error"] == "why"
    assert result(api.post(f"/action/{action}/deliveries/{first['id']}/replay")) == "Delivery Scheduled"
    assert [one["state"] for one in deliveries(action)] == ["pending", "pending"]
    refused(api.post(f"/action/{other}/deliveries/{first['id']}/replay"), 404, "Invalid Delivery ID")
    refused(api.post(f"/action/{action}/deliveries/msg_unknown/replay"), 404, "Invalid Delivery ID")


def _end(database: Database, id: str) -> None:
    with database.transaction() as session:
        which = outbox.deliveries.c.id == id
        session.execute(sa.update(outbox.deliveries).where(which).values(state="dead", last_error="why", ended_at=1.0, attempts=3))
