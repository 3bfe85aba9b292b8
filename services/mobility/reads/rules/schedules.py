"""Timetables of public transport lines, as the importer of GTFS leaves them in a line's record. No framework.

The record is flat; these keys make the timetable (GTFS Schedule Reference: `calendar.txt`, `calendar_dates.txt`, `stop_times.txt`):

* `timezone`: `Europe/Amsterdam`;
* `calendar.<service>`: `1111100 20260101 20261231 +20260427 -20261225`: weekdays (Monday first), first day, last day, days added and
  removed;
* `times.<service>.<n>`: `<offsets>;<departures>`. offsets: of each member of the line, in seconds from the start of the trip, comma
  separated, empty where the trip does not stop. departures: the starts of trips, `HH:MM` or `HH:MM:SS`.

A time is counted from noon minus 12 hours of the service day, so that it means the same on the days on which clocks change, and may be
above 24:00. What cannot be read is left out, whole: a calendar, a pattern of trips, or the timetable when its time zone is unknown.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import re
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

WINDOW: Final = (dt.timedelta(minutes=-5), dt.timedelta(minutes=55))  # of departures that are now: the original's, ends excluded
WEEK: Final = 7  # days of a stop's schedule, today included
_SERVICE_DAYS: Final = range(1, -5, -1)  # that may have trips now, from today: a time has two digits of hours
_CALENDAR: Final = re.compile(r"[01]{7} \d{8} \d{8}(?: [+-]\d{8})*", re.ASCII)
_TIME: Final = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_OFFSET: Final = re.compile(r"\d{1,6}", re.ASCII)
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ROUTE_TYPES: Final = {
    "0": "Tram", "1": "Subway", "2": "Rail", "3": "Bus", "4": "Ferry", "5": "Cable car", "6": "Gondola", "7": "Funicular",
    "11": "Trolleybus", "12": "Monorail",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of a service. weekdays: seven of `0` and `1`, Monday first. Days that are added count outside first … last, too."""

    weekdays: str
    first: dt.date
    last: dt.date
    added: frozenset[dt.date]
    removed: frozenset[dt.date]

    def runs_on(self, day: dt.date) -> bool:
        """Say whether the service runs on a day."""
        if day in self.removed:
            return False
        return day in self.added or (self.first <= day <= self.last and self.weekdays[day.weekday()] == "1")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Trips with the same times from stop to stop. offsets: by member, None where they do not stop. starts: sorted. All in seconds."""

    offsets: Sequence[int | None]
    starts: Sequence[int]


class Timetable:
    """The trips of one line."""

    def __init__(
        self, zone: zoneinfo.ZoneInfo, calendars: Mapping[str, Calendar], times: Mapping[str, Sequence[str]], members: int
    ) -> None:
        """times: texts by service. members: how many the line has; a text with another number of offsets is left out."""
        self._zone = zone
        self._calendars = calendars
        self._times = times
        self._members = members
        self._read: dict[str, list[Pattern]] = {}

    def today(self, now: dt.datetime) -> dt.date:
        """Return the day it is where the line is."""
        return now.astimezone(self._zone).date()

    def departures(self, positions: Sequence[int], day: dt.date) -> list[int]:
        """Return when trips of a service day leave these members, in seconds of that day: sorted, each once."""
        found = {
            start + offset
            for pattern in self._running(day)
            for position in positions
            if (offset := pattern.offsets[position]) is not None
            for start in pattern.starts
        }
        return sorted(found)

    def now(self, positions: Sequence[int], now: dt.datetime) -> list[tuple[dt.datetime, int]]:
        """Return the departures around a moment (`WINDOW`): when, in the line's time zone, and in seconds of its service day. In order."""
        found: set[tuple[float, int]] = set()
        today = self.today(now)
        for ahead in _SERVICE_DAYS:
            day = today + dt.timedelta(days=ahead)
            midnight = self._midnight(day)
            low, high = ((now + edge).timestamp() - midnight for edge in WINDOW)
            for pattern in self._running(day):
                for position in positions:
                    offset = pattern.offsets[position]
                    if offset is not None:
                        since, until = bisect.bisect_right(pattern.starts, low - offset), bisect.bisect_left(pattern.starts, high - offset)
                        found.update((midnight + start + offset, start + offset) for start in pattern.starts[since:until])
        return [(dt.datetime.fromtimestamp(moment, self._zone), seconds) for moment, seconds in sorted(found)]

    def trips(self, day: dt.date) -> Iterator[list[tuple[int, int]]]:
        """Yield the trips of a service day by their first departure: for each stop the member's position, and seconds of the day."""
        patterns = [[(place, offset) for place, offset in enumerate(one.offsets) if offset is not None] for one in self._running(day)]
        starts = [one.starts for one in self._running(day)]
        order = sorted((start + stops[0][1], which, start) for which, stops in enumerate(patterns) if stops for start in starts[which])
        for _, which, start in order:
            yield [(position, start + offset) for position, offset in patterns[which]]

    def _midnight(self, day: dt.date) -> float:
        """Return the moment from which times of a service day count, which is midnight but on the days on which clocks change."""
        return dt.datetime.combine(day, dt.time(12), self._zone).timestamp() - 12 * 3600

    def _running(self, day: dt.date) -> list[Pattern]:
        return [pattern for service, calendar in self._calendars.items() if calendar.runs_on(day) for pattern in self._patterns(service)]

    def _patterns(self, service: str) -> list[Pattern]:
        found = self._read.get(service)
        if found is None:
            read = (_pattern(text, self._members) for text in self._times.get(service, ()))
            found = self._read[service] = [pattern for pattern in read if pattern is not None]
        return found


def read(data: Mapping[str, Any], members: int) -> Timetable | None:
    """Read the timetable of a line. data: of its record. members: how many the line has. None when there is none."""
    zone = _zone(data.get("timezone"))
    if zone is None:
        return None
    calendars: dict[str, Calendar] = {}
    times: dict[str, list[str]] = {}
    for key, value in data.items():
        if not isinstance(value, str):
            continue
        if key.startswith("calendar."):
            calendar = _calendar(value)
            if calendar is not None:
                calendars[key.removeprefix("calendar.")] = calendar
        elif key.startswith("times."):
            times.setdefault(key.removeprefix("times.").rpartition(".")[0], []).append(value)
    return Timetable(zone, calendars, times, members)


def is_cut(data: Mapping[str, Any]) -> bool:
    """Say whether the importer left out trips, because a record holds only so much."""
    return bool(data.get("trips_left_out"))


def clock(seconds: int) -> str:
    """Write a time of a service day as GTFS does: `08:05:00`, `24:10:00`."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def date(day: dt.date) -> str:
    """Write a day as the original does: `Mon 5 Jan`."""
    return f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}"


def line(cdk_id: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an answer says of a line. data: of its record."""
    kind = data.get("route_type")
    return {
        "cdk_id": cdk_id,
        "headsign": data.get("headsign"),
        "route_id": data.get("route_id"),
        "route_name": data.get("route_short_name") or data.get("route_long_name"),
        "route_type": _ROUTE_TYPES.get(str(kind), kind),
    }


def _zone(name: object) -> zoneinfo.ZoneInfo | None:
    if not isinstance(name, str) or not name:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of zones, half a character, a name too long for a file
        return None


def _calendar(text: str) -> Calendar | None:
    if not _CALENDAR.fullmatch(text):
        return None
    weekdays, first, last, *exceptions = text.split(" ")
    try:
        added, removed = ({_day(one[1:]) for one in exceptions if one[0] == sign} for sign in "+-")
        return Calendar(weekdays, _day(first), _day(last), frozenset(added), frozenset(removed))
    except ValueError:  # the 30th of February
        return None


def _day(text: str) -> dt.date:
    return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _pattern(text: str, members: int) -> Pattern | None:
    offsets, _, departures = text.partition(";")
    if offsets.count(",") + 1 != members:
        return None
    try:
        return Pattern([_offset(one) for one in offsets.split(",")], sorted(_seconds(one) for one in departures.split(",")))
    except ValueError:
        return None


def _offset(text: str) -> int | None:
    if text and not _OFFSET.fullmatch(text):
        raise ValueError(text)
    return int(text) if text else None


@functools.lru_cache(8192)
def _seconds(text: str) -> int:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    hours, minutes, seconds = found.groups("0")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)
