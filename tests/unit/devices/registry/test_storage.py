"""The storage of a device: its amount, its chunks, emptied, converted, kept for longer or shorter."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.refusal import Refusal
from services.devices.data.rules.records import Record, Records
from services.devices.models import Device, DeviceState, DeviceTag, DeviceToken, Param
from tests.unit.devices.conftest import ACC2, API, MadeDevice, MakeAPI, refused, result

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAY = 86_400_000


def send(api: API, made: MadeDevice, count: int = 1, *, days_ago: float = 0) -> None:
    """Send so many records of one moment."""
    device = api.parts.tokens.caller({"token": made.token}).device
    assert device is not None
    time = int(NOW.timestamp() * 1000 - days_ago * DAY)
    api.parts.ingest.add(device, Records.of([Record("a", time, 1.0, None, None, "g", None, None)] * count))


def amount(api: API, made: MadeDevice) -> int:
    return int(result(api.get(f"/device/{made.id}/data_amount")))


def make(api: API, kind: str) -> MadeDevice:
    return api.immutable() if kind == "immutable" else api.device()


@pytest.mark.parametrize("kind", ["mutable", "immutable"])
def test_the_amount_and_an_emptied_device(api: API, kind: str) -> None:
    made, other = make(api, kind), make(api, kind)
    assert amount(api, made) == 0
    send(api, made, 30)
    send(api, other, 2)
    assert amount(api, made) == 30
    assert result(api.get("/info", made.token))["last_input"] == "2026-01-01T00:00:00.000Z"
    empty = api.send("POST", f"/device/{made.id}/empty", "gh_acc_one", data=b"", content_type="application/json")
    assert result(empty) == "Data Successfully Removed"
    assert (amount(api, made), amount(api, other)) == (0, 2)
    send(api, made, 3)
    assert amount(api, made) == 3
    refused(api.get(f"/device/{made.id}/data_amount", ACC2), 404, "Invalid Device ID")
    refused(api.post(f"/device/{made.id}/empty", None, ACC2), 404, "Invalid Device ID")


def test_chunks_are_listed_and_removed(api: API) -> None:
    made = api.immutable()
    send(api, made, 3)
    send(api, made, 2, days_ago=1)
    send(api, made, 1, days_ago=3)
    found = result(api.get(f"/device/{made.id}/chunk"))
    assert [(one["id"], one["amount"]) for one in found] == [
        ("1767225600_1767311999", 3), ("1767139200_1767225599", 2), ("1766966400_1767052799", 1),
    ]  # fmt: skip
    assert (found[0]["from"], found[0]["to"]) == ("2026-01-01T00:00:00.000Z", "2026-01-01T23:59:59.999Z")
    assert (found[0]["from_date"], found[0]["to_date"]) == (found[0]["from"], found[0]["to"])
    assert result(api.delete(f"/device/{made.id}/chunk/1767139200_1767225599")) == "Chunk 1767139200_1767225599 deleted"
    assert [one["amount"] for one in result(api.get(f"/device/{made.id}/chunk"))] == [3, 1]
    assert amount(api, made) == 4
    for chunk in ("1767139200_1767225599", "1767225600_1767312000", "1767225600", "x", "0_0", "1767225600_1767311999x"):
        refused(api.delete(f"/device/{made.id}/chunk/{chunk}"), 404, "Invalid Chunk ID")
    refused(api.delete(f"/device/{made.id}/chunk/1767225600_1767311999", ACC2), 404, "Invalid Device ID")
    assert result(api.get(f"/device/{api.device().id}/chunk")) == []


def test_chunks_that_are_over_are_not_shown(api: API) -> None:
    made = api.immutable()
    send(api, made, 2)
    api.clock.move(4 * 86_400)
    assert result(api.get(f"/device/{made.id}/chunk")) == []
    assert amount(api, made) == 0
    refused(api.delete(f"/device/{made.id}/chunk/1767225600_1767311999"), 404, "Invalid Chunk ID")


def test_a_shorter_retention_removes_and_a_longer_one_keeps(api: API) -> None:
    made = api.immutable()
    for days in range(4):
        send(api, made, days_ago=days)
    result(api.put(f"/device/{made.id}", {"chunk_retention": 1}))
    assert (amount(api, made), result(api.get(f"/device/{made.id}"))["chunk_retention"]) == (2, 1)
    result(api.put(f"/device/{made.id}", {"chunk_retention": 36}))
    send(api, made, days_ago=36)
    assert amount(api, made) == 3
    result(api.put(f"/device/{made.id}", {"name": "another name", "chunk_retention": None}))
    assert amount(api, made) == 3


def test_only_an_empty_and_inactive_device_is_converted(api: API) -> None:
    made = api.device()
    send(api, made)
    given = {"type": "immutable", "chunk_period": "month", "chunk_retention": 2}
    path = f"/device/{made.id}/convert"
    refused(api.post(path, given), 400, "Device must be deactivated before it is converted")
    result(api.put(f"/device/{made.id}", {"active": False}))
    refused(api.post(path, given), 400, "Device must be empty before it is converted")
    result(api.post(f"/device/{made.id}/empty"))
    wrong = refused(api.post(path, {"type": "immutable"}), 400, "Error on Body parameters")
    assert set(wrong) == {"chunk_period", "chunk_retention"}
    assert result(api.post(path, given)) == "Device type/chunk was converted"
    found = result(api.get(f"/device/{made.id}"))
    assert (found["type"], found["chunk_period"], found["chunk_retention"]) == ("immutable", "month", 2)
    result(api.put(f"/device/{made.id}", {"active": True}))
    send(api, made, 2)  # by the token that it had before
    assert [one["id"] for one in result(api.get(f"/device/{made.id}/chunk"))] == ["1767225600_1769903999"]


def test_other_chunks_and_back_to_mutable(api: API) -> None:
    made = api.immutable(active=False)
    path = f"/device/{made.id}/convert"
    result(api.post(path, {"type": "immutable", "chunk_period": "quarter", "chunk_retention": 0}))
    assert result(api.get(f"/device/{made.id}"))["chunk_period"] == "quarter"
    result(api.post(path, {"type": "mutable", "chunk_period": "day", "chunk_retention": 1}))
    found = result(api.get(f"/device/{made.id}"))
    assert (found["type"], found["chunk_period"], found["chunk_retention"]) == ("mutable", None, None)
    refused(api.post(path, {"type": "mutable"}, ACC2), 404, "Invalid Device ID")


@pytest.mark.parametrize("kind", ["mutable", "immutable"])
def test_nothing_of_a_removed_device_is_left(api: API, kind: str) -> None:
    made = make(api, kind)
    send(api, made, 5)
    result(api.put(f"/device/{made.id}", {"tags": [{"key": "a", "value": "b"}]}))
    result(api.post(f"/device/{made.id}/params", {"key": "a", "value": "b"}), 201)
    device = api.parts.tokens.caller({"token": made.token}).device
    assert device is not None
    result(api.delete(f"/device/{made.id}"))
    with api.parts.database.read() as session:
        tables = (Device, DeviceState, DeviceTag, DeviceToken, Param)
        assert [session.scalar(sa.select(sa.func.count()).select_from(table)) for table in tables] == [0] * 5
    with pytest.raises(Refusal, match="Invalid Device ID"):
        api.parts.ingest.add(device, Records.of([Record("a", device.no, 1.0, None, None, "g", None, None)]))
    again = make(api, kind)
    found = api.parts.tokens.caller({"token": again.token}).device
    assert found is not None and found.no > device.no  # a number is never used again


def test_writers_and_those_who_change_the_device_wait_for_each_other(make_api: MakeAPI) -> None:
    """A device that is emptied while two processes write to it ends with as many records as are counted."""
    one, other = make_api(), make_api()
    made = one.device()
    send(one, made)

    def work(number: int) -> Any:
        if number % 5 == 4:
            return result(one.post(f"/device/{made.id}/empty"))
        return send((one, other)[number % 2], made, 7)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(20)))
    with one.parts.database.read() as session:
        (data_no,) = session.execute(sa.text("SELECT coalesce(data_no, no) FROM devices")).one()
        stored = session.execute(sa.text("SELECT count(*) FROM mutable_records WHERE data_no = :no"), {"no": data_no}).scalar_one()
    assert amount(one, made) == stored and stored % 7 == 0
