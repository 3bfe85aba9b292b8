"""The id that joins the log lines, answers and onward calls of one request."""

from __future__ import annotations

import os
import re
from contextvars import ContextVar

HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,128}\Z").match  # the same that the gateway takes from a trusted proxy
_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def accept(offered: str | None) -> str:
    """Take the caller's id when it is short and harmless, else a new one of 16 hex digits."""
    return offered if offered and _SANE(offered) else os.urandom(8).hex()


def current() -> str | None:
    """Return the id of the request that this thread serves, if any."""
    return _current.get()


def enter(value: str | None) -> None:
    _current.set(value)
