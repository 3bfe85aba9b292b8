"""What is stored of a batch, on both stores and for both kinds of devices."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.refusal import Refusal
from services.devices.data.ingest import group
from services.devices.data.ingest.ingest import topic
from services.devices.data.rules.records import read
from services.devices.data.store import rows
from services.devices.models import Device, DeviceState, IdempotencyKey, Variable
from tests.unit.devices.conftest import API
from tests.unit.devices.data.ingest.house import Writer, immutable, mutable

FULL = {
    "variable": "a", "value": 27.5, "unit": "°C\t\\", "time": "2026-01-01T00:00:00.001Z", "group": "one\\\n\tgroup",
    "location": {"lat": 1.5, "lng": -2}, "metadata": {"say": 'a "b" \\ \n\t\0', "ä": [1]},
}  # fmt: skip


@pytest.fixture(params=[mutable, immutable], ids=["mutable", "immutable"])
def writer(request: pytest.FixtureRequest, api: API) -> Writer:
    found: Writer = request.param(api)
    return found


def test_every_field_comes_back_as_it_was_sent(writer: Writer) -> None:
    assert writer.add([FULL, {"variable": "b", "value": 'tab\t "quoted" \\N \\ \r\n'}, {"variable": "c", "value": 2**60, "unit": ""}]) == 3
    first, second, third = writer.rows()
    assert (first.number, first.value, first.unit, first.group) == (27.5, None, "°C\t\\", "one\\\n\tgroup")
    assert json.loads(first.location) == {"type": "Point", "coordinates": [-2, 1.5]}
    assert json.loads(first.metadata) == FULL["metadata"]
    assert (first.time, first.created_at) == (1_767_225_600_001, int(writer.now.timestamp() * 1000))
    assert (second.number, json.loads(second.value), second.unit, second.location) == (None, 'tab\t "quoted" \\N \\ \r\n', None, None)
    assert (third.number, third.value, third.unit, third.group) == (2.0**60, str(2**60), "", "g")


@pytest.mark.parametrize("rest", [{}, {"unit": "C"}, {"unit": "°"}, {"value": "on"}, {"value": None}, {"group": "own"}, {"metadata": [1]}])
def test_records_of_all_kinds_share_a_batch(writer: Writer, rest: dict[str, Any]) -> None:
    one, odd = {"variable": "a", "value": -0.5, "unit": "C"}, {"variable": "b", "value": 2.5} | rest
    mixed = [one, odd, one, one, odd]
    writer.add(mixed)
    writer.add([odd] * 2, group="another")
    assert [(row.number, row.value, row.unit, row.group, row.location, row.metadata) for row in writer.rows()] == [
        tuple(record)[2:] for group, body in (("g", mixed), ("another", [odd] * 2)) for record in read(body, writer.now, group)
    ]


def test_large_batches_are_written_in_portions(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_PORTION", 3)
    for size in (1, 2, 8):
        writer.add([{"variable": f"v{number % 3}", "value": number} for number in range(size)], group=f"{size}")
    stored = [(row.seq, row.variable_no, row.number, row.group) for row in writer.rows()]
    sent = [(number, size) for size in (1, 2, 8) for number in range(size)]
    assert stored == [(seq, number % 3 + 1, number, f"{size}") for seq, (number, size) in enumerate(sent, 1)]


def test_records_are_numbered_in_the_order_of_the_requests(writer: Writer) -> None:
    writer.add([{"variable": "b"}, {"variable": "a"}, {"variable": "b"}])
    writer.api.clock.move(1)
    writer.add({"variable": "c"})
    with writer.database.read() as session:
        names = {variable.no: variable.name for variable in session.scalars(sa.select(Variable))}
    assert [(names[row.variable_no], row.seq) for row in writer.rows()] == [("b", 1), ("a", 2), ("b", 3), ("c", 4)]
    assert (writer.state().next_seq, writer.state().last_input) == (5, writer.now)


def test_records_are_counted_by_chunk_or_in_all(api: API) -> None:
    kept, edited = immutable(api), mutable(api)
    today, yesterday = kept.days_ago(0), kept.days_ago(1)  # the clock of the tests stands at midnight
    kept.add([{"variable": "a", "time": today}, {"variable": "a", "time": yesterday}, {"variable": "b", "time": today}])
    kept.add({"variable": "a"})
    edited.add([{"variable": "a"}] * 4)
    assert (kept.chunks(), kept.state().records) == ({today: 3, yesterday: 1}, 0)
    assert (edited.chunks(), edited.state().records) == ({}, 4)


def test_who_waits_for_the_device_is_woken(writer: Writer) -> None:
    with writer.api.parts.wakeups.ticket(topic(writer.device.no)) as ticket:
        writer.add({"variable": "a"})
        assert ticket.wait(5)


def test_an_inactive_device_takes_nothing(writer: Writer) -> None:
    writer.database.run(lambda session: session.execute(sa.update(Device).values(active=False)))
    with pytest.raises(Refusal, match="Device is deactivated"):
        writer.add({"variable": "a"})
    assert (writer.rows(), writer.state().last_input) == ([], None)


def test_a_device_that_is_deleted_takes_nothing(writer: Writer) -> None:
    device = writer.device
    writer.database.run(lambda session: session.execute(sa.delete(Device)))
    with pytest.raises(Refusal, match="Invalid Device ID"):
        writer.api.parts.ingest.add(device, read({"variable": "a"}, writer.now, "g"))


def test_a_mutable_device_never_has_more_than_its_limit(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_OF_MUTABLE", 5)
    writer, kept = mutable(api), immutable(api)
    writer.add([{"variable": "a"}] * 3)
    with pytest.raises(Refusal, match="The device has reached the limit of 5 data registers"):
        writer.add([{"variable": "a"}] * 3)
    assert (len(writer.rows()), writer.add([{"variable": "b"}] * 2), writer.state().records) == (3, 2, 5)
    assert kept.add([{"variable": "a"}] * 6) == 6


def test_a_device_has_so_many_variables_at_most(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their names outlive the records, and every process remembers them."""
    monkeypatch.setattr(group, "MOST_VARIABLES", 4)
    writer, other = mutable(api), immutable(api)
    writer.add([{"variable": name} for name in "abc"])
    for known in (True, False):
        with pytest.raises(Refusal, match="The device has reached the limit of 4 variables"):
            writer.add([{"variable": name} for name in "abde"], ("key", "digest"))
        if known:
            api.parts.ingest._group.names = group.Names()  # as in a process that has just begun
    assert len(writer.rows()) == 3
    assert writer.add([{"variable": name} for name in "AbD"], ("key", "digest")) == 3
    with pytest.raises(Refusal, match="variables"):
        writer.add({"variable": "e"})
    assert other.add([{"variable": name} for name in "wxyz"]) == 4


def test_an_immutable_device_takes_what_it_keeps_until_the_end_of_tomorrow(api: API) -> None:
    writer = immutable(api)
    oldest, too_late = writer.days_ago(3), writer.days_ago(-2)
    assert writer.add([{"variable": "a", "time": oldest}, {"variable": "a", "time": too_late - 1}]) == 2
    for time in (oldest - 1, too_late):
        with pytest.raises(Refusal, match="Time must be between 2025-12-29 and 2026-01-02"):
            writer.add([{"variable": "a"}, {"variable": "a", "time": time}])
    assert len(writer.rows()) == 2


def test_a_key_names_a_batch_for_a_day(writer: Writer) -> None:
    body = [{"variable": "a"}] * 2
    assert [writer.add(body, ("key", "digest")) for _ in range(3)] == [2, 2, 2]
    with pytest.raises(Refusal) as refused:
        writer.add({"variable": "a"}, ("key", "of another body"))
    assert (refused.value.status, len(writer.rows()), writer.state().next_seq) == (409, 2, 3)
    assert writer.add({"variable": "a"}, ("another key", "digest")) == 1
    writer.api.clock.move(24 * 3600)
    assert (writer.add({"variable": "a"}, ("key", "of another body")), len(writer.rows())) == (1, 4)


def test_a_key_belongs_to_its_device(api: API) -> None:
    one, other = mutable(api), mutable(api)
    assert one.add({"variable": "a"}, ("key", "digest")) == other.add([{"variable": "a"}] * 2, ("key", "another")) - 1


def test_a_key_of_a_refused_batch_is_free(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_OF_MUTABLE", 1)
    writer = mutable(api)
    with pytest.raises(Refusal):
        writer.add([{"variable": "a"}] * 2, ("key", "digest"))
    assert writer.add({"variable": "a"}, ("key", "another")) == 1


def test_calls_are_noted_in_the_transaction_of_the_records(writer: Writer) -> None:
    noted: list[object] = []

    def note(session: object, device: object, records: object, first_seq: int, now: object) -> int:
        noted.append((device, [record.variable for record in records], first_seq, now))  # type: ignore[attr-defined]
        return 1

    told: list[int] = []
    ingest = type(writer.api.parts.ingest)(
        writer.database, writer.api.parts.wakeups, writer.api.clock, note=note, noted=lambda: told.append(1)
    )
    ingest.add(writer.device, read([{"variable": "a"}, {"variable": "b"}], writer.now, "g"))
    ingest.close()
    assert (noted, told) == ([(writer.device, ["a", "b"], 1, writer.now)], [1])


def test_a_device_with_a_fault_in_its_actions_keeps_no_record(writer: Writer) -> None:
    def note(session: sa.orm.Session, *_: object) -> int:
        session.add(IdempotencyKey(device_no=writer.device.no, key="noted", digest="", added=0, created_at=writer.now))
        session.flush()
        raise LookupError("a fault")

    ingest = type(writer.api.parts.ingest)(writer.database, writer.api.parts.wakeups, writer.api.clock, note=note)
    with pytest.raises(LookupError):
        ingest.add(writer.device, read({"variable": "a"}, writer.now, "g"))
    ingest.close()
    with writer.database.read() as session:
        assert (writer.rows(), session.scalar(sa.select(sa.func.count()).select_from(IdempotencyKey))) == ([], 0)
        assert session.get_one(DeviceState, writer.device.no).next_seq == 1
