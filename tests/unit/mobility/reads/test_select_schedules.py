"""`select/schedule` and `select/now`: timetables of stops and lines."""

from __future__ import annotations

from typing import Any

import pytest

from services.mobility.reads.service import schedules
from tests.unit.mobility.conftest import API, good, point, refused
from tests.unit.mobility.reads.adding import add
from tests.unit.mobility.reads.test_select import line_string

# the clock of tests begins on Thursday 2026-01-01 at 00:00 UTC, 01:00 in Amsterdam
LINE = {
    "timezone": "Europe/Amsterdam",
    "calendar.all": "1111111 20251201 20261231 -20260103",
    "times.all.0": "0,120,300;01:30,08:00,24:55",
    "route_id": "r1",
    "route_short_name": "1",
    "route_type": 3,
    "headsign": "Dam",
}
OTHER = {**LINE, "times.all.0": "0,60;01:20", "route_id": "r0", "route_short_name": "0", "headsign": None, "route_type": 0}


def add_lines(api: API, **changed: Any) -> None:
    """Stops a, b, c; the line 1: a b c; the line 0: c b."""
    for number, stop in enumerate("abc"):
        add(api, f"gtfs.stop.{stop}", point(5 + number / 100, 52), layer="gtfs", node_type="ptstop", data={})
    for cdk_id, data, members in (("gtfs.line.1-0", {**LINE, **changed}, "abc"), ("gtfs.line.0-0", OTHER, "cb")):
        stops = [f"gtfs.stop.{one}" for one in members]
        add(api, cdk_id, line_string((5, 52), (5.02, 52)), layer="gtfs", node_type="ptline", members=stops, data=data)


def ask(api: API, path: str, **query: Any) -> Any:
    return good(api.get(path, **query))["results"]


def test_a_stop_says_what_departs_now(api: API) -> None:
    add_lines(api)
    assert ask(api, "/gtfs.stop.b/select/now") == [
        {
            "cdk_id": "gtfs.line.1-0", "headsign": "Dam", "route_id": "r1", "route_name": "1", "route_type": "Bus",
            "times": ["24:57:00", "01:32:00"], "departures": ["2026-01-01T00:57:00+01:00", "2026-01-01T01:32:00+01:00"],
            "stops": ["gtfs.stop.c"],
        },
        {
            "cdk_id": "gtfs.line.0-0", "headsign": None, "route_id": "r0", "route_name": "0", "route_type": "Tram",
            "times": ["01:21:00"], "departures": ["2026-01-01T01:21:00+01:00"],
            "stops": [],
        },
    ]  # fmt: skip
    api.clock.move(30 * 60)
    assert [one["times"] for one in ask(api, "/gtfs.stop.b/select/now")] == [["01:32:00"]]
    api.clock.move(60 * 60)
    assert ask(api, "/gtfs.stop.b/select/now") == []


def test_a_stop_has_a_schedule_of_seven_days(api: API) -> None:
    add_lines(api)
    tram, bus = ask(api, "/gtfs.stop.b/select/schedule")
    assert (tram["cdk_id"], bus["cdk_id"]) == ("gtfs.line.0-0", "gtfs.line.1-0")  # by route_id
    days = ["Thu 1 Jan", "Fri 2 Jan", "Sun 4 Jan", "Mon 5 Jan", "Tue 6 Jan", "Wed 7 Jan"]  # none on the 3rd
    assert bus.pop("day") == {day: ["01:32:00", "08:02:00", "24:57:00"] for day in days}
    assert bus == {"cdk_id": "gtfs.line.1-0", "headsign": "Dam", "route_id": "r1", "route_name": "1", "route_type": "Bus"}


def test_a_line_has_a_schedule_of_one_day(api: API) -> None:
    add_lines(api)
    stops = ["gtfs.stop.a", "gtfs.stop.b", "gtfs.stop.c"]
    trips = [["01:30:00", "01:32:00", "01:35:00"], ["08:00:00", "08:02:00", "08:05:00"], ["24:55:00", "24:57:00", "25:00:00"]]
    shown = [[list(pair) for pair in zip(stops, trip, strict=True)] for trip in trips]
    assert ask(api, "/gtfs.line.1-0/select/schedule") == [{"line": "gtfs.line.1-0", "date": "Thu 1 Jan", "trips": shown}]
    assert ask(api, "/gtfs.line.1-0/select/schedule", day=2) == [{"line": "gtfs.line.1-0", "date": "Sat 3 Jan", "trips": []}]
    assert list(api.get("/gtfs.line.1-0/select/schedule").json or ()) == ["status", "url", "pages", "results"]


@pytest.mark.parametrize("day", ["-1", "367", "1.5", "x", "", "٣", "99999999999999999999"])
def test_days_are_bounded(sqlite_api: API, day: str) -> None:
    if sqlite_api.get("/gtfs.line.1-0").status_code == 404:
        add_lines(sqlite_api)
    message = "Wrong value for parameter 'day': must be an integer from 0 to 366."
    refused(sqlite_api.get("/gtfs.line.1-0/select/schedule", day=day), 422, message)


def test_what_cannot_be_read_is_left_out(api: API) -> None:
    add_lines(api, timezone="Mars/Phobos")
    assert [one["cdk_id"] for one in ask(api, "/gtfs.stop.b/select/schedule")] == ["gtfs.line.0-0"]
    assert ask(api, "/gtfs.line.1-0/select/schedule") == []


def test_only_the_layer_that_created_a_line_says_its_times(api: API) -> None:
    add_lines(api, **{"times.all.0": ""})
    data = {"timezone": "Europe/Amsterdam", "calendar.all": LINE["calendar.all"], "times.all.0": "0,1,2;01:00"}
    good(api.put("/gtfs.line.1-0/a.rail", {"data": data}))
    assert ask(api, "/gtfs.line.1-0/select/schedule")[0]["trips"] == []
    assert [one["cdk_id"] for one in ask(api, "/gtfs.stop.b/select/now")] == ["gtfs.line.0-0"]


def test_a_timetable_that_the_importer_cut_is_truncated(api: API) -> None:
    add_lines(api, trips_left_out=7)
    for path in ("/gtfs.line.1-0/select/schedule", "/gtfs.stop.b/select/schedule", "/gtfs.stop.b/select/now"):
        assert good(api.get(path))["truncated"] is True
    assert "truncated" not in good(api.get("/gtfs.line.0-0/select/schedule"))


def test_answers_are_cut_where_they_would_be_too_long(sqlite_api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    if sqlite_api.get("/gtfs.line.1-0").status_code == 404:
        add_lines(sqlite_api)
    paths = ("/gtfs.stop.b/select/now", "/gtfs.stop.b/select/schedule", "/gtfs.line.1-0/select/schedule")

    def asked() -> list[Any]:
        answers = [good(sqlite_api.get(path)) for path in paths]
        assert len({"truncated" in answer for answer in answers}) == 1
        return [answer["results"] if "truncated" in answer else None for answer in answers]

    assert asked() == [None, None, None]
    monkeypatch.setattr(schedules, "DEPARTURES_MOST", 1)
    now, stop, line = asked()
    assert [one["times"] for one in now] == [["24:57:00"]]
    assert [one["day"] for one in stop] == [{"Thu 1 Jan": ["01:32:00"]}]
    assert line[0]["trips"] == []
    monkeypatch.undo()
    monkeypatch.setattr(schedules, "LINES_MOST", 1)
    assert [one["cdk_id"] for one in good(sqlite_api.get(paths[0]))["results"]] == ["gtfs.line.1-0"]
    assert good(sqlite_api.get(paths[0]))["truncated"] is True
    monkeypatch.setattr(schedules, "DATA_MOST", 10)
    assert good(sqlite_api.get(paths[1])) | {"url": ""} == {"status": "success", "url": "", "pages": 1, "results": [], "truncated": True}
