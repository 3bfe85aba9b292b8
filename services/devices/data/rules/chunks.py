"""Chunks of immutable devices, and units of aggregation: stretches of time that begin at a UTC day, week (Monday), month or quarter."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Final, NamedTuple

PERIODS: Final = ("day", "week", "month", "quarter")
MOST_RETAINED: Final = 36
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
_DAY: Final = 86_400_000  # milliseconds
_FIRST: Final = -62_135_596_800_000  # of the year 1


class Span(NamedTuple):
    """A chunk, or what a device keeps. starts: its first millisecond since 1970, UTC; ends: the first one after it."""

    starts: int
    ends: int


def start(period: str, moment: dt.datetime) -> dt.datetime:
    """Return when the chunk of a moment begins. moment: aware, UTC."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "day":
            return day
        case "week":
            return day - dt.timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
    return day.replace(day=1, month=day.month - (day.month - 1) % 3)


def step(period: str, begins: dt.datetime, count: int) -> dt.datetime:
    """Return when the chunk begins that is `count` after the one that begins at `begins`; before it when negative."""
    match period:
        case "day":
            return begins + dt.timedelta(days=count)
        case "week":
            return begins + dt.timedelta(weeks=count)
        case "month":
            months = begins.year * 12 + begins.month - 1 + count
        case _:
            months = begins.year * 12 + begins.month - 1 + 3 * count
    return begins.replace(year=months // 12, month=months % 12 + 1)


def oldest_kept(period: str, retention: int, now: dt.datetime) -> dt.datetime:
    """Return when the oldest chunk begins that is kept: the current one and `retention` before it."""
    return step(period, start(period, now), -retention)


def newest_allowed(now: dt.datetime) -> dt.datetime:
    """Return the first moment that is too far ahead for an immutable device: the end of tomorrow."""
    return start("day", now) + dt.timedelta(days=2)


def retention_class(period: str, retention: int) -> int:
    """Return the number of all devices whose chunks begin and end together."""
    return PERIODS.index(period) * 100 + retention


def span(period: str, time: int) -> Span:
    """Return the chunk of a moment. time: milliseconds since 1970, UTC."""
    return _span_of_day(period, time // _DAY)


@functools.lru_cache(4096)
def _span_of_day(period: str, day: int) -> Span:
    begins = start(period, _EPOCH + dt.timedelta(days=day))
    return Span((begins - _EPOCH) // _MILLISECOND, (step(period, begins, 1) - _EPOCH) // _MILLISECOND)


def kept(period: str, retention: int, now: dt.datetime) -> Span:
    """Return what an immutable device takes and shows now: from the start of the oldest kept chunk to the end of tomorrow."""
    return Span((oldest_kept(period, retention, now) - _EPOCH) // _MILLISECOND, (newest_allowed(now) - _EPOCH) // _MILLISECOND)


def oldest(period: str | None, retention: int | None, now: dt.datetime) -> int:
    """Return the first millisecond that a device keeps; one without chunks keeps all since the year 1."""
    return _FIRST if period is None or retention is None else kept(period, retention, now).starts


def days(kept: Span) -> tuple[str, str]:
    """Return the first and the last day of a span, as `2026-01-31`."""
    first, last = (_EPOCH + dt.timedelta(milliseconds=time) for time in (kept.starts, kept.ends - 1))
    return f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"


def of_class(retention_class: int) -> tuple[str, int]:
    """Return the period and the retention of a class."""
    return PERIODS[retention_class // 100], retention_class % 100
