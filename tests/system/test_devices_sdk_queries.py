"""What a device sends, asks and takes back through TagoIO's own Python SDK: every `query`, and the forms in which the SDK writes values."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from tagoio_sdk import Device

from tests.support.devices_house import DevicesHouse
from tests.support.devices_sdk import NOBODY, Tago, refused

pytestmark = pytest.mark.xdist_group("devices-sdk")  # one house for all

NOW = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
POINT = {"type": "Point", "coordinates": [-78.6, 35.7]}


@pytest.fixture(scope="module")
def tago(devices_at_home: DevicesHouse) -> Tago:
    return Tago(devices_at_home.url, devices_at_home.auth.token())


@pytest.fixture(scope="module")
def weather(tago: Tago) -> Device:
    """A device with ten temperatures, an hour apart, the newest ten minutes old; a text, a place and a bare event."""
    _, device = tago.new("weather")
    newest = NOW - dt.timedelta(minutes=10)
    records: list[dict[str, Any]] = [
        {"variable": "temp", "value": 20 + hour, "unit": "°C", "time": newest - dt.timedelta(hours=hour), "group": f"g{hour % 2}"}
        for hour in range(10)
    ]
    records += [
        {"variable": "sky", "value": "clear", "time": newest - dt.timedelta(hours=3)},
        {"variable": "sky", "value": "dark", "time": newest - dt.timedelta(hours=1), "metadata": {"by": "eye"}},
        {"variable": "place", "location": {"lat": 35.7, "lng": -78.6}, "time": newest - dt.timedelta(hours=2)},
        {"variable": "humid", "value": 0.5, "time": newest - dt.timedelta(hours=2)},
        {"variable": "humid", "value": 0.25, "time": newest - dt.timedelta(hours=1)},
    ]
    assert device.sendData(records) == f"{len(records)} Data Added"
    return device


def values(found: list[dict[str, Any]]) -> list[Any]:
    return [one.get("value") for one in found]


def test_the_list(weather: Device) -> None:
    assert values(weather.getData({"variables": "temp"})) == [*range(20, 30)]
    assert values(weather.getData({"query": "default", "variable": "temp", "qty": 2})) == [20, 21]
    assert values(weather.getData({"variables": ["temp"], "qty": 3, "skip": 8})) == [28, 29]
    assert values(weather.getData({"variables": "temp", "qty": 2, "ordination": "ascending"})) == [29, 28]
    assert values(weather.getData({"variables": ["temp", "sky"], "qty": 1})) == [20, "dark"]
    assert values(weather.getData({"variables": "temp", "groups": ["g1"], "qty": 2})) == [21, 23]
    assert values(weather.getData({"variables": "temp", "values": [22, 25]})) == [22, 25]
    assert values(weather.getData({"variables": "sky", "value": "dark"})) == ["dark"]
    assert len(weather.getData()) == 15
    assert weather.getData({"variables": "nothing"}) == []
    assert weather.getData({"variables": "temp", "qty": 0}) == []
    between = {"variables": "temp", "start_date": NOW - dt.timedelta(hours=3), "end_date": NOW - dt.timedelta(hours=1)}
    assert values(weather.getData(between)) == [21, 22]
    assert values(weather.getData({"variables": "temp", "start_date": "2 hours"})) == [20, 21]


def test_a_record(weather: Device) -> None:
    (found,) = weather.getData({"variables": "temp", "qty": 1})
    assert found.keys() == {"id", "device", "variable", "value", "unit", "group", "time"}
    assert (found["time"], found["unit"], found["group"]) == ((NOW - dt.timedelta(minutes=10)).replace(tzinfo=None), "°C", "g0")
    assert values(weather.getData({"ids": [found["id"]]})) == [20]
    assert values(weather.getData({"ids": [NOBODY] * 399 + [found["id"]]})) == [20]  # as much as a path has room for
    (place,) = weather.getData({"variables": "place"})
    assert (place["location"], "value" in place) == (POINT, False)
    (dark,) = weather.getData({"variables": "sky", "qty": 1, "details": False})
    assert (dark["metadata"], "created_at" in dark) == ({"by": "eye"}, False)
    (whole,) = weather.getData({"variables": "sky", "qty": 1, "details": True})
    assert "created_at" in whole


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("last_item", ["temp", "sky"], [("temp", 20), ("sky", "dark")]),
        ("last_value", ["temp", "place"], [("temp", 20)]),
        ("last_location", ["temp", "place"], [("place", None)]),
        ("first_item", ["temp", "sky"], [("temp", 29), ("sky", "clear")]),
        ("first_value", ["temp"], [("temp", 29)]),
        ("first_location", ["place"], [("place", None)]),
        ("last_insert", ["humid"], [("humid", 0.25)]),
        ("first_insert", ["humid"], [("humid", 0.5)]),
    ],
)
def test_first_and_last(query: str, variables: list[str], expected: list[tuple[str, Any]], weather: Device) -> None:
    found = weather.getData({"query": query, "variables": variables})
    assert sorted((one["variable"], one.get("value")) for one in found) == sorted(expected)


def test_numbers(weather: Device) -> None:
    """The SDK shows a whole number as a record; a fraction, it cannot."""
    (count,) = weather.getData({"query": "count", "variables": "temp"})
    assert count["value"] == 10
    since = {"variables": "temp", "start_date": NOW - dt.timedelta(days=1)}
    assert values(weather.getData({"query": "sum", **since})) == [sum(range(20, 30))]
    assert values(weather.getData({"query": "avg", **since, "values": [20, 22]})) == [21]
    assert values(weather.getData({"query": "min", **since})) == [20]
    assert values(weather.getData({"query": "max", **since})) == [29]
    assert values(weather.getData({"query": "sum", "variables": "humid", "start_date": "1 day", "value": 1})) == [0]
    assert refused(weather.getData, {"query": "sum", "variables": "temp"}) == "start_date field is required"


def test_aggregate(weather: Device) -> None:
    found = weather.getData(
        {"query": "aggregate", "variables": "temp", "interval": "hour", "function": "sum", "start_date": NOW - dt.timedelta(days=1)}
    )
    assert sorted(values(found)) == [*range(20, 30)]
    assert all(one["time"] == one["time"].replace(minute=0, second=0, microsecond=0) for one in found)


@pytest.mark.parametrize(
    ("function", "expected"), [("gt", [28, 29]), ("gte", [27, 28, 29]), ("lt", [20, 21, 22, 23, 24, 25, 26]), ("eq", [27]), ("ne", 9)]
)
def test_conditional(function: str, expected: Any, weather: Device) -> None:
    query = {"query": "conditional", "variables": "temp", "value": 27, "function": function, "start_date": NOW - dt.timedelta(days=1)}
    found = sorted(values(weather.getData(query)))
    assert (found if isinstance(expected, list) else len(found)) == expected


def test_editing_and_deleting(tago: Tago) -> None:
    _, device = tago.new("edited")
    assert device.sendData({"variable": "a", "value": 1}) == "1 Data Added"
    assert device.sendData([{"variable": "a", "value": 2}, {"variable": "b", "value": True}]) == "2 Data Added"
    one, two = sorted(device.getData({"variables": "a"}), key=lambda record: record["value"])
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert device.editData({"id": one["id"], "value": "x", "time": moment, "location": {"lat": 1, "lng": 2}}) == "1 item(s) updated"
    assert device.editData([{"id": two["id"], "unit": "m"}, {"id": NOBODY, "unit": "m"}]) == "1 item(s) updated"
    (changed,) = device.getData({"ids": one["id"]})
    assert (changed["value"], changed["time"]) == ("x", dt.datetime(2026, 1, 2, 1, 4, 5, 678000))
    assert changed["location"]["coordinates"] == [2, 1]
    assert device.deleteData({"variables": ["a"], "values": ["x"]}) == "1 Data Removed"
    assert device.deleteData({"ids": [two["id"]]}) == "1 Data Removed"
    assert device.deleteData() == "1 Data Removed", "the SDK asks for the last item"
    assert device.getData() == []
    assert device.deleteData() == "0 Data Removed"


def test_what_is_wrong_is_said(tago: Tago) -> None:
    _, device = tago.new("strict")
    for wrong in ({"variable": "a b"}, [{"variable": "a"}, {"value": 1}], [], {"variable": "a", "value": float("nan")}):
        assert refused(device.sendData, wrong) == "Error on Body parameters"
    assert refused(device.getData, {"qty": 10_001}) == "Error on Query String parameters"
    assert refused(device.getData, {"query": "median"}) == "Error on Query String parameters"
    assert refused(device.getData, {"start_date": "soon"}) == "Invalid start date"
    assert refused(device.editData, [{"id": NOBODY}] * 26) == "You have exceeded the maximum number of 25 items in a single request"
    assert refused(device.sendData, {"variable": "a", "metadata": {"x": "y" * 250_000}}) == "Payload too large"
    assert device.getData() == []
