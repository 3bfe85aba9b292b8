"""Moments as clients send and read them: ISO 8601. No framework."""

from __future__ import annotations

import datetime as dt
from typing import Final

# PostgreSQL answers in the time zone that its administrator chose, and Python has no moment before the year 1 or after 9999.
_OFFSET: Final = dt.timedelta(hours=16)  # no zone is further from UTC
_FIRST: Final = dt.datetime.min.replace(tzinfo=dt.UTC) + _OFFSET
_LAST: Final = dt.datetime.max.replace(tzinfo=dt.UTC) - _OFFSET


def read(given: object) -> dt.datetime | None:
    """Read a moment or a day, in UTC when it names no zone; None when it is none that every store can keep."""
    if not isinstance(given, str):
        return None
    try:
        found = dt.datetime.fromisoformat(given)
        found = found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return found if _FIRST <= found <= _LAST else None


def show(moment: dt.datetime | None) -> str | None:
    """Write a moment in UTC, with `Z`."""
    return None if moment is None else moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
