"""Judge who was silent for too long. The wall clock measures it, because all processes share it; while that clock is in doubt, nobody was.

In doubt: when it jumped, forward or back, or when the store was away, so that nothing could be noted. Then the keeper counts everybody who
is there as heard, and trusts it again.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from services.common import logging as logs
from services.common.clock import Clock
from services.sessions.presence.activity import Activity
from services.sessions.sessions.rules import timing

log = logs.get(__name__)

JUMP_S: Final = 5.0  # so much the wall clock may gain or lose on the steady one between two looks
_NEVER: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)  # before anything that was ever noted


@dataclass(frozen=True, slots=True)
class Moments:
    """What is too long ago now. over: sessions that were not heard since have timed out, by keep-alive. lost: clients that poll and were
    not heard since are lost.
    """

    now: dt.datetime
    over: Mapping[str, dt.datetime]
    lost: dt.datetime


class Running(Protocol):
    """A session that was not ended."""

    @property
    def id(self) -> int: ...

    @property
    def keep_alive(self) -> str: ...

    @property
    def active_at(self) -> dt.datetime: ...


class Silence:
    """Judges silence. Thread-safe."""

    def __init__(self, activity: Activity, clock: Clock, timeout_s: int) -> None:
        """timeout_s: of sessions that are not kept alive."""
        self._activity = activity
        self._clock = clock
        self._limits = timing.limits(timeout_s)
        self._lock = threading.Lock()
        self._seen = (clock.now(), clock.monotonic())
        self._began = clock.monotonic()
        self._doubts = 0
        self._settled = 0

    def limit(self, keep_alive: str) -> dt.timedelta:
        """Return how long a session of this keep-alive may be silent."""
        return self._limits[keep_alive]

    def moments(self, grace_s: float = 0.0) -> Moments:
        """Return what is too long ago; nothing is while the clock is in doubt. grace_s: how much later than that.

        No client is lost before this process has listened for as long as it may be silent: it could not be heard while nobody listened.
        """
        with self._lock:
            now, steady = self._look()
            if self._doubts != self._settled:
                return Moments(now, dict.fromkeys(self._limits, _NEVER), _NEVER)
        listened = steady - self._began >= timing.LOST_S
        since = now - dt.timedelta(seconds=grace_s)
        over = {keep_alive: since - limit for keep_alive, limit in self._limits.items()}
        return Moments(now, over, since - dt.timedelta(seconds=timing.LOST_S) if listened else _NEVER)

    def is_over(self, session: Running, moments: Moments | None = None) -> bool:
        """Say whether a session has timed out, whether or not it was ended already."""
        over = (moments or self.moments()).over[session.keep_alive]
        if session.active_at > over:
            return False
        heard = self._activity.last(session.id)
        return heard is None or heard <= over

    def doubt(self) -> None:
        """Trust nothing that was noted until now: the store was away."""
        with self._lock:
            self._doubts += 1

    def doubts(self) -> int | None:
        """Return a number for `settle` while everybody who is there must be counted as heard; None while nothing is in doubt."""
        with self._lock:
            self._look()
            return self._doubts if self._doubts != self._settled else None

    def settle(self, doubts: int) -> None:
        """Measure again: everybody has been counted as heard. doubts: that there were before."""
        with self._lock:
            self._settled = doubts

    def _look(self) -> tuple[dt.datetime, float]:
        """Return what both clocks say, and doubt when they do not agree. Holds the lock."""
        now, steady = self._clock.now(), self._clock.monotonic()
        gained = (now - self._seen[0]).total_seconds() - (steady - self._seen[1])
        self._seen = (now, steady)
        if abs(gained) > JUMP_S:
            self._doubts += 1
            log.warning("clock jumped; nobody times out by it", seconds=round(gained))
        return now, steady
