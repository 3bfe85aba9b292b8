"""Device tokens: their form, their end, who may give one out."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import uuid
from typing import Final

from services.devices.data.rules import times

PERMISSIONS: Final = ("full", "write", "read", "deny")
DEFAULT_NAME: Final = "Default"
USUAL_END: Final = "1 month"  # the original's, when nobody says otherwise
NEVER: Final = "never"
is_token = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


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
    if text.strip().lower() == NEVER:
        return None
    try:
        ends = times.moment(times.read(text, times.of(now), "end"))
    except ValueError:
        raise Unreadable("Must be never, a time from now such as 3 hours or 1 month, or an ISO date.") from None
    if ends <= now:
        raise Unreadable("Must be in the future.")
    return ends
