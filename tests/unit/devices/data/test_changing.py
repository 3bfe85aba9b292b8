"""Changing and deleting over HTTP (acceptance cases of the specification by their numbers)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.devices.conftest import API, MadeDevice, refused, result

BODY = "Error on Body parameters"
GONE = "0" * 24


@pytest.fixture
def device(api: API) -> MadeDevice:
    return api.device()


def stored(api: API, device: MadeDevice, *records: dict[str, Any]) -> list[dict[str, Any]]:
    """Store records; return them as they are then, in the order of their insertion."""
    result(api.post("/data", list(records), device.token))
    return sorted(found(api, device), key=lambda one: str(one["id"]))


def found(api: API, device: MadeDevice) -> list[dict[str, Any]]:
    return list(result(api.get("/data?qty=100", device.token)))


def test_records_are_changed_by_id(api: API, device: MadeDevice) -> None:
    """G41."""
    one, two = stored(api, device, {"variable": "a", "value": 1, "unit": "C", "metadata": {"m": 1}}, {"variable": "a", "value": 2})
    change = {
        "id": one["id"], "value": "x", "unit": None, "time": 1_767_000_000, "serie": "s", "location": {"lat": 1, "lng": 2},
        "metadata": None, "variable": "other", "device": "other",
    }  # fmt: skip
    assert (
        result(api.put("/data", [change, {"id": GONE, "value": 3}, {"id": two["id"], "value": None}], device.token)) == "2 item(s) updated"
    )
    changed, emptied = sorted(found(api, device), key=lambda record: str(record["id"]))
    assert changed == {
        "id": one["id"],
        "device": device.id,
        "variable": "a",
        "value": "x",
        "group": "s",
        "time": "2025-12-29T09:20:00.000Z",
        "location": {"type": "Point", "coordinates": [2, 1]},
    }
    assert "value" not in emptied and emptied["group"] == two["group"]
    assert result(api.put(f"/device/{device.id}/data", {"id": one["id"], "value": 27})) == "1 item(s) updated"
    assert result(api.put("/data", {"id": GONE}, device.token)) == "0 item(s) updated"
    assert result(api.put("/data", {"id": one["id"]}, device.token)) == "1 item(s) updated"


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"value": 1}, ["id"]),
        ([{"id": GONE}, {"id": 1}], ["1.id"]),
        ({"id": GONE, "value": {}, "unit": "x" * 26, "time": "2025-02-30", "location": {}}, ["location", "time", "unit", "value"]),
        ([{"id": GONE}, {"id": GONE, "serie": 1, "metadata": "x"}, 1], ["1.metadata", "1.serie", "2"]),
        ([], []),
        ("x", []),
    ],
)  # fmt: skip
def test_a_wrong_change_changes_nothing(change: Any, fields: list[str], sqlite_api: API) -> None:
    api, device = sqlite_api, sqlite_api.device()
    before = stored(api, device, {"variable": "a", "value": 1})
    if isinstance(change, list):
        change = [{"id": before[0]["id"], "value": 2}, *change[1:]] if change else []
    assert sorted(refused(api.put("/data", change, device.token), 400, BODY)) == fields
    assert found(api, device) == before


def test_at_most_25_are_changed(api: API, device: MadeDevice) -> None:
    message = "You have exceeded the maximum number of 25 items in a single request"
    refused(api.put("/data", [{"id": GONE}] * 26, device.token), 400, message)
    assert result(api.put("/data", [{"id": GONE}] * 25, device.token)) == "0 item(s) updated"


def test_a_changed_record_is_found_by_what_it_is_now(api: API, device: MadeDevice) -> None:
    [one] = stored(api, device, {"variable": "a", "value": 2**60 + 1})
    result(api.put("/data", {"id": one["id"], "value": 5, "time": "2025-12-31"}, device.token))
    assert len(result(api.get("/data?values=5&end_date=2025-12-31", device.token))) == 1
    assert result(api.get("/data?query=sum&start_date=2+days", device.token)) == 5


def test_immutable_records_stay(api: API) -> None:
    """G37, G38."""
    device = api.immutable()
    [one] = stored(api, device, {"variable": "a", "value": 1})
    refused(api.put("/data", [{"id": one["id"], "value": 2}], device.token), 400, "You cannot edit data on immutable device")
    refused(api.delete("/data?variables=a", device.token), 400, "Data in immutable devices cannot be deleted")
    refused(api.delete("/data", device.token), 400, "Data in immutable devices cannot be deleted")
    assert found(api, device) == [one]


def test_the_newest_are_deleted(api: API, device: MadeDevice) -> None:
    """G43."""
    stored(api, device, *({"variable": "a", "value": number, "time": 1_767_200_000 + number} for number in range(20)))
    assert result(api.delete("/data?variables=a&qty=3", device.token)) == "3 Data Removed"
    assert max(one["value"] for one in found(api, device)) == 16
    assert result(api.delete(f"/device/{device.id}/data?start_date=1+week")) == "15 Data Removed", "the default of qty"
    assert result(api.get("/data?query=count", device.token)) == 2
    assert result(api.delete("/data?query=last_item", device.token)) == "1 Data Removed", "what the official libraries send by default"
    assert result(api.delete("/data?qty=10000", device.token)) == "1 Data Removed"


@pytest.mark.parametrize("query", ["", "skip=1", "ordination=asc", "variables=", "query=", "query=default", "token=x"])
def test_nothing_is_deleted_by_accident(query: str, sqlite_api: API) -> None:
    """G44."""
    api, device = sqlite_api, sqlite_api.device()
    stored(api, device, {"variable": "a"})
    refused(api.delete(f"/data?{query}", device.token), 400, "Say which data to delete: a filter, or qty")
    assert len(found(api, device)) == 1


@pytest.mark.parametrize("query", ["query=count", "query=sum&start_date=1+day", "query=aggregate&interval=day&function=sum"])
def test_a_number_names_no_records(query: str, sqlite_api: API) -> None:
    api, device = sqlite_api, sqlite_api.device()
    stored(api, device, {"variable": "a"})
    refused(api.delete(f"/data?{query}", device.token), 400, "Invalid query")
    assert len(found(api, device)) == 1


def test_a_deleted_device_refuses(api: API, make_api: Any, device: MadeDevice) -> None:
    """Another process deletes it while this one still knows it."""
    import sqlalchemy as sa

    from services.devices.models import Device

    assert found(api, device) == []
    with api.parts.database.transaction() as session:
        session.execute(sa.delete(Device).where(Device.id == device.id))
    for answer in (
        api.post("/data", {"variable": "a"}, device.token),
        api.put("/data", {"id": GONE, "value": 1}, device.token),
        api.delete("/data?qty=1", device.token),
    ):
        refused(answer, 404, "Invalid Device ID")


def test_answers_are_not_kept_by_caches(api: API, device: MadeDevice) -> None:
    for method in ("GET", "HEAD", "DELETE"):
        assert api.send(method, "/data", device.token).headers["Cache-Control"] == "no-store"
    assert api.send("PATCH", "/data", device.token).status_code == 405
    assert json.loads(api.send("PATCH", "/data", device.token).text)["status"] is False
