"""Chunks of immutable devices, and units of aggregation: stretches of time that begin at a UTC day, week (Monday), month or quarter."""

from __future__ import annotations

import datetime as dt
from typing import Final

PERIODS: Final = ("day", "week", "month", "quarter")
MOST_RETAINED: Final = 36


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
