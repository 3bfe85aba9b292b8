"""Timetables: what is read of a line's record, which days services run, what departs now."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from services.mobility.reads.rules import schedules
from services.mobility.reads.rules.schedules import Timetable

WORKDAYS = "1111100 20260101 20261231 +20260427 -20261225"
LINE: dict[str, Any] = {
    "timezone": "Europe/Amsterdam",
    "calendar.wd": WORKDAYS,
    "times.wd.0": "0,,240,600;08:00,8:30:30,24:10",
    "times.wd.1": "0,120,,;07:00",
}
MONDAY = dt.date(2026, 1, 5)


def read(members: int = 4, /, **changed: Any) -> Timetable:
    found = schedules.read({**LINE, **{key.replace("_", "."): value for key, value in changed.items()}}, members)
    assert found is not None
    return found


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def clocks(timetable: Timetable, position: int, day: dt.date) -> list[str]:
    return [schedules.clock(seconds) for seconds in timetable.departures([position], day)]


def test_trips_are_read_by_stop_and_by_line() -> None:
    line = read()
    assert clocks(line, 0, MONDAY) == ["07:00:00", "08:00:00", "08:30:30", "24:10:00"]
    assert clocks(line, 1, MONDAY) == ["07:02:00"]
    assert clocks(line, 2, MONDAY) == ["08:04:00", "08:34:30", "24:14:00"]
    assert [[(place, schedules.clock(seconds)) for place, seconds in trip] for trip in line.trips(MONDAY)][:2] == [
        [(0, "07:00:00"), (1, "07:02:00")],
        [(0, "08:00:00"), (2, "08:04:00"), (3, "08:10:00")],
    ]
    assert clocks(read(times_wd_0="0,60,120,60;08:00"), 1, MONDAY) == ["07:02:00", "08:01:00"]


@pytest.mark.parametrize(
    ("day", "runs"),
    [
        ("2026-01-05", True),
        ("2026-01-10", False),  # a Saturday
        ("2026-04-27", True),
        ("2026-12-25", False),  # a Friday that is removed
        ("2025-12-31", False),
        ("2027-01-04", False),
    ],
)
def test_services_run_on_the_days_of_their_calendars(day: str, runs: bool) -> None:
    assert bool(read().departures([0], dt.date.fromisoformat(day))) is runs


def test_days_are_added_outside_of_the_calendar_too() -> None:
    line = read(calendar_wd="0000000 20260101 20260101 +20260110")
    assert line.departures([0], dt.date(2026, 1, 10)) and not line.departures([0], dt.date(2026, 1, 1))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-01-05T08:00:00+01:00", ["08:00:00", "08:30:30"]),
        ("2026-01-05T08:04:59+01:00", ["08:00:00", "08:30:30"]),
        ("2026-01-05T08:05:00+01:00", ["08:30:30"]),  # five minutes ago is over
        ("2026-01-05T07:05:00+01:00", []),  # 55 minutes ahead is not yet
        ("2026-01-05T07:05:01+01:00", ["08:00:00"]),
        ("2026-01-06T00:08:00+01:00", ["24:10:00"]),  # of Monday's service day
        ("2026-01-10T00:08:00+01:00", ["24:10:00"]),  # on Saturday, of Friday's
        ("2026-01-11T00:08:00+01:00", []),
        ("2026-01-05T23:20:00+01:00", ["24:10:00"]),
    ],
)
def test_now_is_from_five_minutes_ago_to_55_minutes_ahead(now: str, expected: list[str]) -> None:
    assert [schedules.clock(seconds) for _, seconds in read().now([0], at(now))] == expected


def test_now_looks_at_tomorrows_first_trips() -> None:
    line = read(times_wd_0="0,,,;00:05")
    assert [moment.isoformat() for moment, _ in line.now([0], at("2026-01-05T23:30:00+01:00"))] == ["2026-01-06T00:05:00+01:00"]


@pytest.mark.parametrize(
    ("day", "time", "departs"),
    [
        ("20260329", "01:30", "2026-03-29T00:30:00+01:00"),  # clocks went forward at 02:00: noon minus 12 hours is 23:00
        ("20260329", "03:30", "2026-03-29T03:30:00+02:00"),
        ("20261025", "01:30", "2026-10-25T02:30:00+02:00"),  # clocks went back at 03:00: noon minus 12 hours is 01:00
        ("20261025", "03:30", "2026-10-25T03:30:00+01:00"),
    ],
)
def test_times_count_from_noon_minus_12_hours(day: str, time: str, departs: str) -> None:
    line = read(calendar_wd=f"0000000 {day} {day} +{day}", times_wd_0=f"0,,,;{time}", times_wd_1="")
    assert [moment.isoformat() for moment, _ in line.now([0], at(departs))] == [departs]


def test_today_is_where_the_line_is() -> None:
    now = at("2026-01-05T23:30:00+00:00")
    assert read().today(now) == dt.date(2026, 1, 6)
    assert read(timezone="America/New_York").today(now) == MONDAY


@pytest.mark.parametrize("zone", [None, "", 5, "Mars/Phobos", "Europe", "../etc/passwd", "/etc/passwd", "\ud800", "a" * 5000])
def test_without_a_known_time_zone_there_is_no_timetable(zone: Any) -> None:
    assert schedules.read({**LINE, "timezone": zone}, 4) is None


@pytest.mark.parametrize(
    "calendar",
    ["", "1111100", "111110 20260101 20261231", "1111100 20260230 20261231", "1111100 20260101 20261231 20260427", "1" * 9999, 7, None],
)
def test_a_calendar_that_cannot_be_read_is_left_out(calendar: Any) -> None:
    assert read(calendar_wd=calendar).departures([0], MONDAY) == []


@pytest.mark.parametrize(
    "times",
    [
        "", ";", "0,,240,600", "0,,240,600;", "0,,240;08:00", "0,,240,600,900;08:00", "0,,240,600;08:61", "0,,240,600;8", "0,,x,600;08:00",
        "0,,-240,600;08:00", "0,,1e3,600;08:00", "0,,²,600;08:00", "0,,240,600;٠٨:٠٠", "0,,240,600;100:00", "0,,9999999,0;08:00", 8, None,
    ],
)  # fmt: skip
def test_trips_that_cannot_be_read_are_left_out(times: Any) -> None:
    assert clocks(read(times_wd_0=times), 0, MONDAY) == ["07:00:00"]


def test_services_may_have_dots_in_their_names() -> None:
    line = read(4, **{"calendar_a.b": WORKDAYS, "times_a.b_0": "0,,,;06:00"})
    assert clocks(line, 0, MONDAY)[0] == "06:00:00"


def test_lines_and_days_look_as_in_the_original() -> None:
    assert schedules.date(MONDAY) == "Mon 5 Jan"
    data = {"route_id": "1", "route_short_name": "", "route_long_name": "Round", "route_type": 3, "headsign": "Dam"}
    shown = {"cdk_id": "x", "headsign": "Dam", "route_id": "1", "route_name": "Round", "route_type": "Bus"}
    assert schedules.line("x", data) == shown
    assert schedules.line("x", {"route_type": "715"})["route_type"] == "715"
