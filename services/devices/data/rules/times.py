"""Moments in queries and answers: milliseconds since 1970, UTC.

A moment is absolute (ISO 8601, or a Unix number) or relative (`1 day`, `2 hours`): a start counts back from now, an end forward.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import Final, Literal

EARLIEST: Final = -62_135_596_800_000  # 0001-01-01, a Monday
LATEST: Final = 253_402_300_799_999  # the last millisecond of 9999
DAY_MS: Final = 86_400_000
SHORTEST_MILLISECONDS: Final = 10**11  # a Unix number below it counts seconds

Bound = Literal["start", "end"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r" ?(?:([Zz])|([+\- ])(\d\d):?(\d\d)?)?)?",  # a blank before hh:mm is a plus that was not encoded
    re.ASCII | re.IGNORECASE,
).fullmatch
_UNIX = re.compile(r"-?\d{1,15}(?:\.\d{1,9})?", re.ASCII).fullmatch
_RELATIVE = re.compile(r"(\d{1,9}) ?([A-Za-z]{1,12})", re.ASCII).fullmatch
_SHORT: Final = {  # the original's; a month is a large M
    "S": "millisecond", "SS": "millisecond", "s": "second", "ss": "second", "sec": "second", "m": "minute", "mm": "minute", "min": "minute",
    "h": "hour", "hh": "hour", "d": "day", "dd": "day", "w": "week", "ww": "week", "M": "month", "MM": "month", "y": "year", "yy": "year",
}  # fmt: skip
_LENGTHS_MS: Final = {
    "millisecond": 1, "second": 1000, "minute": 60_000, "hour": 3_600_000, "day": DAY_MS, "week": 7 * DAY_MS,
}  # fmt: skip
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}


def of(moment: dt.datetime) -> int:
    """Return the milliseconds of an aware moment, rounded down."""
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)


def moment(milliseconds: int) -> dt.datetime:
    """Return the moment of these milliseconds: aware, UTC."""
    return _EPOCH + dt.timedelta(milliseconds=milliseconds)


def read(text: str, now: int, bound: Bound) -> int:
    """Read the start or the end of a range. A day without a time is its first or its last millisecond. Raises ValueError."""
    text = text.strip()
    found = _read_absolute(text, bound)
    if found is None:
        found = _read_relative(text, now, bound)
    if found is None or not EARLIEST <= found <= LATEST:
        raise ValueError(f"Invalid {bound} date")
    return found


def add_months(milliseconds: int, count: int) -> int:
    """Return the same day and time `count` months later, or earlier; the month's last day where it has no such day. Raises ValueError
    beyond the years 1 to 9999.
    """
    begins = moment(milliseconds)
    months = begins.year * 12 + begins.month - 1 + count
    year, month = months // 12, months % 12 + 1
    if not dt.MINYEAR <= year <= dt.MAXYEAR:
        raise ValueError("out of range")
    next_month = dt.date(year + month // 12, month % 12 + 1, 1) if (year, month) != (9999, 12) else None
    last_day = 31 if next_month is None else (next_month - dt.timedelta(days=1)).day
    return of(begins.replace(year=year, month=month, day=min(begins.day, last_day)))


def write(milliseconds: int) -> str:
    """Write a moment: `2026-01-01T00:00:00.000Z`."""
    minute, rest = divmod(milliseconds, 60_000)
    return f"{_minute(minute)}{rest // 1000:02d}.{rest % 1000:03d}Z"


@functools.lru_cache(maxsize=16_384)
def _minute(number: int) -> str:
    return moment(number * 60_000).strftime("%Y-%m-%dT%H:%M:").rjust(17, "0")  # strftime writes the year 1 as `1`


def _read_absolute(text: str, bound: Bound) -> int | None:
    if _UNIX(text):
        number = float(text)
        return int(number if abs(number) >= SHORTEST_MILLISECONDS else number * 1000)
    found = _ISO(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = found.groups()
    nanoseconds = int((fraction or "0").ljust(9, "0"))
    try:
        begins = dt.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=dt.UTC)
    except ValueError:
        return None
    if hour is None:
        return of(begins) + (DAY_MS - 1 if bound == "end" else 0)
    if sign is not None:
        if int(zone_hours) > 23 or int(zone_minutes or 0) > 59:
            return None
        offset = (int(zone_hours) * 60 + int(zone_minutes or 0)) * 60_000
    else:
        offset = 0
    whole, part = divmod(nanoseconds, 1_000_000)
    whole += bound == "start" and part > 0  # a start within a millisecond leaves that one out
    return of(begins) + whole + (offset if sign == "-" else -offset)


def _read_relative(text: str, now: int, bound: Bound) -> int | None:
    found = _RELATIVE(text)
    if found is None:
        return None
    unit = _SHORT.get(found[2]) or found[2].lower().removesuffix("s")
    count = int(found[1]) * (-1 if bound == "start" else 1)
    if unit in _LENGTHS_MS:
        return now + count * _LENGTHS_MS[unit]
    if unit in _MONTHS:
        try:
            return add_months(now, count * _MONTHS[unit])
        except ValueError:
            return None
    return None
