"""Device tokens: their form and their end."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import uuid
from typing import Final

PERMISSIONS: Final = ("full", "write", "read", "deny")
DEFAULT_NAME: Final = "Default"
NEVER: Final = "never"
LATEST: Final = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
is_token = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch

_RELATIVE: Final = re.compile(r"(\d{1,6})\s*(minute|hour|day|week|month|year)s?", re.IGNORECASE).fullmatch
_DAY_LIKE: Final = {"minute": dt.timedelta(minutes=1), "hour": dt.timedelta(hours=1), "day": dt.timedelta(1), "week": dt.timedelta(7)}


class Unreadable(ValueError):
    """A text is not the end of a token; the message says why."""


def new_token() -> str:
    """Draw a token: 122 random bits in 36 characters."""
    return str(uuid.uuid4())


def digest(token: str) -> str:
    """Return how a token is stored: SHA-256 is enough for 122 random bits."""
    return hashlib.sha256(token.lower().encode()).hexdigest()


def read_end(text: str, now: dt.datetime) -> dt.datetime | None:
    """Read when a token ends: `never`, `3 hours`, a date. Returns an aware moment in UTC, None for never.

    A date without a zone is UTC; a month later is the same day of the next month, or its last day. Raises Unreadable.
    """
    text = text.strip()
    if text.lower() == NEVER:
        return None
    relative = _RELATIVE(text)
    try:
        ends = _later(now, int(relative[1]), relative[2].lower()) if relative else _moment(text)
    except (ValueError, OverflowError):
        raise Unreadable("Not a time: write never, 3 hours, 1 month or an ISO date.") from None
    if ends <= now:
        raise Unreadable("Must be in the future.")
    return min(ends, LATEST)


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)


def _later(now: dt.datetime, count: int, unit: str) -> dt.datetime:
    if unit in _DAY_LIKE:
        return now + count * _DAY_LIKE[unit]
    months = now.year * 12 + now.month - 1 + count * (12 if unit == "year" else 1)
    first = now.replace(year=months // 12, month=months % 12 + 1, day=1)
    last = (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
    return first.replace(day=min(now.day, last.day))
