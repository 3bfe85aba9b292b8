"""The time, injectable: services take a `Clock` so that tests can set it."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Protocol

UTC = dt.UTC


class Clock(Protocol):
    """What a service may ask about the time."""

    def now(self) -> dt.datetime:
        """Read the wall clock: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Read seconds that never go back; only differences mean something."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class SettableClock:
    """A clock for tests: stands still until it is moved."""

    def __init__(self, now: dt.datetime | None = None) -> None:
        self._now = now or dt.datetime(2026, 1, 1, tzinfo=UTC)
        self._monotonic = 1000.0
        self._lock = threading.Lock()

    def now(self) -> dt.datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def move(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        with self._lock:
            self._now += dt.timedelta(seconds=seconds)
            self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP does; the monotonic clock does not see it."""
        with self._lock:
            self._now += dt.timedelta(seconds=seconds)


def isoformat(moment: dt.datetime) -> str:
    """Write a moment as ISO 8601 in UTC with milliseconds and `Z`: `2026-01-01T00:00:00.000Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"  # strftime writes the year 278 as `278`
