"""What the records of requests do to actions, in the transaction that stores them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.wakeups import ThroughValkey
from services.devices.actions import store
from services.devices.actions.service import firing
from services.devices.actions.store import Transaction
from services.devices.models import outbox
from tests.support.stores import Valkey
from tests.support.waiting import wait_until
from tests.unit.devices.actions.conftest import Deliveries, Writer, cool, create, hot, record
from tests.unit.devices.conftest import ACC2, API, MakeAPI, result

TAGGED = [{"key": "kind", "value": "pump"}]


def by_tag(**other: Any) -> dict[str, Any]:
    return {"tag_key": "kind", "tag_value": "pump", "variable": "temp", "is": ">", "value": 95, **other}


def locked(api: API, action: str) -> bool:
    found: bool = result(api.get(f"/action/{action}"))["lock"]
    return found


def test_once_a_request(api: API, writer: Writer, deliveries: Deliveries) -> None:
    """However many records match; without unlock conditions each request that matches fires."""
    device = api.device()
    action = create(api, hot(device.id))
    assert writer.send(device, 96, 50, 97) == 1
    assert writer.send(device, 94) == 0
    assert writer.send(device, 99) == 1
    assert len(deliveries(action)) == 2
    assert not locked(api, action)
    assert result(api.get(f"/action/{action}"))["last_triggered"] == "2026-01-01T00:00:00.000Z"


def test_what_a_call_carries(api: API, writer: Writer) -> None:
    device = api.device(name="boiler", tags=TAGGED)
    action = create(api, hot(device.id), cool(device.id), tags=[{"key": "a", "value": "b"}])
    writer.send(device, 50, 96)
    with api.parts.database.read() as session:
        row = session.execute(sa.select(outbox.deliveries)).one()
    assert (row.hook_id, row.device_id, row.method, row.headers) == (action, device.id, "POST", [["X-Key", "k"]])
    number = int(api.parts.registry.device(_caller(api), device.id).no)
    assert api.app.json.loads(row.body) == {
        "action": {"id": action, "name": "too hot", "tags": [{"key": "a", "value": "b"}], "lock": True},
        "device": {"id": device.id, "name": "boiler", "tags": TAGGED},
        "fired_at": "2026-01-01T00:00:00.000Z",
        "matched": 1,
        "data": [
            {
                "id": f"{number:08x}{8:016x}",
                "device": device.id,
                "variable": "temp",
                "value": 96,
                "unit": "C",
                "group": "g1",
                "time": "2026-01-01T00:00:00.123Z",
                "metadata": {"a": 1},
            }
        ],
    }


def _caller(api: API) -> Any:
    return api.parts.tokens.caller({"token": "gh_acc_one"})


def test_hysteresis(api: API, writer: Writer) -> None:
    device = api.device()
    action = create(api, hot(device.id), cool(device.id))
    assert [writer.send(device, value) for value in (96, 97, 93, 99)] == [1, 0, 0, 0]
    assert locked(api, action)
    api.clock.move(60)
    assert writer.send(device, 85, 96) == 0  # frees, and does not fire in the same request
    assert not locked(api, action)
    assert result(api.get(f"/action/{action}"))["last_triggered"] == "2026-01-01T00:00:00.000Z"
    assert writer.send(device, 96) == 1


def test_each_device_has_its_lock(api: API, writer: Writer, deliveries: Deliveries) -> None:
    one, two, other = api.device(tags=TAGGED), api.device(tags=[*TAGGED, {"key": "x", "value": "y"}]), api.device()
    action = create(api, by_tag(), by_tag(**{"is": "<", "value": 90, "unlock": True}))
    assert [writer.send(device, 96) for device in (one, two, other, one, two)] == [1, 1, 0, 0, 0]
    assert [writer.send(device, 85) for device in (one, one, other)] == [0, 0, 0]
    assert [writer.send(device, 96) for device in (one, two)] == [1, 0]
    assert [call["device"] for call in deliveries(action)].count(one.id) == 2


def test_a_tag_counts_as_it_is_now(api: API, writer: Writer) -> None:
    device = api.device()
    create(api, by_tag())
    assert writer.send(device, 96) == 0
    with api.parts.database.transaction() as session:
        session.execute(sa.text("UPDATE devices SET tags = :tags"), {"tags": api.app.json.dumps(TAGGED)})
    assert writer.send(device, 96) == 1


def test_another_account_does_not_fire(api: API, writer: Writer) -> None:
    mine, foreign = api.device(tags=TAGGED), api.device(by=ACC2, tags=TAGGED)
    create(api, by_tag())
    assert [writer.send(device, 96) for device in (foreign, mine)] == [0, 1]


def test_the_lock_can_be_set_by_hand(api: API, writer: Writer) -> None:
    device = api.device()
    action = create(api, hot(device.id), cool(device.id), lock=True)
    assert locked(api, action)
    assert writer.send(device, 96) == 0
    assert writer.send(device, 85) == 0
    assert not locked(api, action)
    assert writer.send(device, 96) == 1
    result(api.put(f"/action/{action}", {"lock": False}))
    assert not locked(api, action)
    assert writer.send(device, 96) == 1
    result(api.put(f"/action/{action}", {"lock": True}))
    assert writer.send(device, 96) == 0


def test_changes_count_at_once(api: API, writer: Writer) -> None:
    """In this process; the clock stands still."""
    device = api.device()
    assert writer.send(device, 96) == 0
    action = create(api, hot(device.id))
    assert writer.send(device, 96) == 1
    result(api.put(f"/action/{action}", {"active": False}))
    assert writer.send(device, 96) == 0
    result(api.put(f"/action/{action}", {"active": True, "trigger": [hot(device.id, value="98")]}))
    assert [writer.send(device, 96), writer.send(device, 99)] == [0, 1]
    result(api.delete(f"/action/{action}"))
    assert writer.send(device, 99) == 0


def test_changes_of_another_process(make_api: MakeAPI) -> None:
    """A new action is seen within half a second; one that is changed or gone does not fire as it was, not even before that."""
    here, there = make_api(), make_api()
    writer, device = Writer(here), here.device()
    assert writer.send(device, 96) == 0
    action = create(there, hot(device.id))
    here.clock.move(firing.LOOK_S)
    assert writer.send(device, 96) == 1
    result(there.put(f"/action/{action}", {"trigger": [hot(device.id, value="98")]}))
    assert writer.send(device, 97) == 0
    result(there.put(f"/action/{action}", {"active": False}))
    assert writer.send(device, 99) == 0
    result(there.put(f"/action/{action}", {"active": True}))
    assert writer.send(device, 99) == 1
    result(there.delete(f"/action/{action}"))
    assert writer.send(device, 99) == 0


def test_other_processes_hear_of_changes(make_api: MakeAPI, valkey: Valkey) -> None:
    """With Valkey at once: the clock, by which they would look, stands still."""
    here, there = make_api(valkey_url=valkey.url), make_api(valkey_url=valkey.url)
    assert isinstance(here.parts.wakeups, ThroughValkey) and here.parts.wakeups.wait_until_subscribed(10)
    writer, device = Writer(here), here.device()
    assert writer.send(device, 96) == 0
    create(there, hot(device.id))
    wait_until(lambda: writer.send(device, 96) == 1)


def test_a_change_while_conditions_are_read(api: API, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conditions that were read before a change and arrive after it are not remembered."""
    device = api.device()
    read = store.active_triggers

    def read_and_change(session: Transaction, account: str) -> list[store.Trigger]:
        found = read(session, account)
        monkeypatch.undo()
        create(api, hot(device.id))
        return found

    monkeypatch.setattr(store, "active_triggers", read_and_change)
    with api.parts.database.read() as session:
        assert api.parts.firing._watches(session, "one").size == 0
    assert writer.send(device, 96) == 1


def test_nothing_fires_when_the_records_are_not_stored(api: API, writer: Writer, deliveries: Deliveries) -> None:
    device = api.device()
    action = create(api, hot(device.id), cool(device.id))

    def fails() -> None:
        with api.parts.database.transaction() as session:
            assert writer.within(session, device, 96) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert (deliveries(action), locked(api, action)) == ([], False)
    assert writer.send(device, 96) == 1


def test_parallel_writers(make_api: MakeAPI, deliveries: Deliveries) -> None:
    """Twenty requests at once over two processes: a locking action fires once, and once more after it was freed."""
    here, there = make_api(), make_api()
    writers = [Writer(here), Writer(there)]
    device = here.device()
    action = create(here, hot(device.id), cool(device.id))
    there.clock.move(firing.LOOK_S)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            fired = list(pool.map(lambda number: writers[number % 2].send(device, 96), range(20)))
            assert sum(fired) == 1
            assert sum(pool.map(lambda number: writers[number % 2].send(device, 85), range(8))) == 0
    assert len(deliveries(action)) == 2


def test_a_deletion_waits_for_batches_that_concern_it(api: API, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An action that is deleted while a batch is written: the batch is stored, and nothing of the action is left."""
    device = api.device()
    action = create(api, hot(device.id))
    note = store.note
    answered = threading.Event()

    def delete() -> None:
        result(api.delete(f"/action/{action}"))
        answered.set()

    thread = threading.Thread(target=delete)

    def note_later(session: Transaction, states: Any) -> None:
        thread.start()
        assert not answered.wait(0.1)
        note(session, states)

    monkeypatch.setattr(store, "note", note_later)
    assert writer.send(device, 96) == 1
    thread.join(10)
    assert answered.is_set()
    with api.parts.database.read() as session:
        assert session.execute(sa.select(sa.func.count()).select_from(outbox.deliveries)).scalar_one() == 0


def test_a_batch_waits_for_a_change_and_sees_all_of_it(api: API, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit that frees the lock while the batch waits for it: the batch fires."""
    device = api.device()
    action = create(api, hot(device.id), cool(device.id))
    assert writer.send(device, 96) == 1
    lock_all = store.lock_all
    begun, waited = threading.Event(), threading.Event()

    def lock_slowly(session: Session, action_id: str, locked: bool) -> None:
        lock_all(session, action_id, locked)
        begun.set()
        assert waited.wait(10)

    monkeypatch.setattr(store, "lock_all", lock_slowly)
    with ThreadPoolExecutor(2) as pool:
        edited = pool.submit(api.put, f"/action/{action}", {"lock": False})
        assert begun.wait(10)
        sent = pool.submit(writer.send, device, 96)
        assert not wait([sent], 0.1).done
        waited.set()
        result(edited.result(10))
        assert sent.result(10) == 1


def test_a_receiver_that_is_far_behind(api: API, writer: Writer, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a bounded number of calls is not kept for it; what it gets later is up to date again."""
    monkeypatch.setattr(firing, "MOST_WAITING", 3)
    device = api.device()
    action = create(api, hot(device.id))
    sent = 0
    for _ in range(6):
        api.clock.move(20)
        sent += writer.send(device, 96)
    assert (sent, len(deliveries(action))) == (3, 3)
    with api.parts.database.transaction() as session:
        session.execute(sa.update(outbox.deliveries).values(state="delivered"))
    api.clock.move(20)
    assert writer.send(device, 96) == 1


def test_no_query_without_an_action(api: API, writer: Writer) -> None:
    """A request of an account that has none costs no question to the store; one look for all accounts in half a second."""
    device = api.device()
    create(api, hot(api.device().id))
    asked: list[str] = []
    sa.event.listen(api.parts.database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def work(session: Any) -> int:
        ref = writer.lock(session, device)
        asked.clear()
        return api.parts.firing.note(session, ref, [record(96)] * 100, 1, api.clock.now())

    writer.send(device, 96)
    assert api.parts.database.run(work) == 0
    assert asked == []
    api.clock.move(firing.LOOK_S)
    assert api.parts.database.run(work) == 0
    assert len(asked) == 1


def test_a_call_shows_records_as_a_list_does(api: API) -> None:
    """Large, old and odd ones, too."""
    device = api.device()
    action = create(api, {"device": device.id, "variable": "a", "is": "*"})
    values = [2**60 + 1, 1e300, -0.5, "ü\u2028", True, None]
    sent = [{"variable": "A", "value": value, "time": "0001-01-01T00:00:00Z"} for value in values]
    sent += [{"variable": "a", "location": {"lat": 1, "lng": 2}, "metadata": {"m": [1]}, "unit": "°C", "group": "g"}]
    result(api.post("/data", sent, device.token))
    with api.parts.database.read() as session:
        body = session.execute(sa.select(outbox.deliveries.c.body).where(outbox.deliveries.c.hook_id == action)).scalar_one()
    listed = result(api.get("/data?ordination=asc", device.token))
    assert api.app.json.loads(body)["data"] == listed and len(listed) == 7
