"""How long a body may take on its way in: a slow sender must not hold what others wait for.

Besides the idle time between two pieces a body has a time for all of it, and after a grace it must keep up a least rate on average, as
mod_reqtimeout of Apache asks. Time in which nobody takes the body is not the sender's.
"""

from __future__ import annotations

from typing import Final, NamedTuple

GRACE: Final = 10.0


class Limits(NamedTuple):
    """idle: seconds between two pieces; whole: seconds for all; least_rate: bytes a second, 0 = none."""

    idle: float
    whole: float
    least_rate: float


class Pace:
    """One body on its way. now: seconds, on the clock of the deadlines; size: bytes of it that have come."""

    __slots__ = ("_begun", "_limits", "_size")

    def __init__(self, limits: Limits, now: float, size: int = 0) -> None:
        self._limits = limits
        self._begun = now
        self._size = size

    def deadline(self, now: float, size: int = 0) -> float:
        """Return when the next piece must have come, after one of `size` bytes."""
        idle, whole, least_rate = self._limits
        self._size += size
        end = min(now + idle, self._begun + whole)
        return min(end, self._begun + GRACE + self._size / least_rate) if least_rate else end

    def not_counted(self, seconds: float) -> None:
        """Leave out a time in which the sender was not read."""
        self._begun += seconds
