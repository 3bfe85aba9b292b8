"""When clients were heard last: noted in memory by every request, written behind by the keeper, so that no poll waits for a write."""

from __future__ import annotations

import datetime as dt
import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

from services.common.clock import Clock

_REMEMBERED: Final = 4  # times that notes were taken: whoever has read a row a second or two before they were written asks for them


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client was last heard by. polled: whether it has asked for updates since the last writing."""

    session_id: int
    moment: dt.datetime
    polled: bool


class Activity:
    """Remembers which clients were heard until the keeper takes the notes. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: dict[int, Heard] = {}
        self._sessions: dict[int, dt.datetime] = {}
        self._taken: deque[dict[int, dt.datetime]] = deque(maxlen=_REMEMBERED)

    def note(self, client_id: int, session_id: int, *, polled: bool = False) -> None:
        """Remember that a known client has sent a POST now. polled: that it has asked for updates, so from now on silence means loss."""
        now = self._clock.now()
        with self._lock:
            before = self._heard.get(client_id)
            self._heard[client_id] = Heard(session_id, now, polled or (before is not None and before.polled))
            self._sessions[session_id] = now

    def last(self, session_id: int) -> dt.datetime | None:
        """Return when a client of the session was heard last, of what was noted in this process lately."""
        with self._lock:
            found = (one.get(session_id) for one in (self._sessions, *self._taken))
            return next((moment for moment in found if moment is not None), None)

    def take(self) -> dict[int, Heard]:
        """Return the notes since the last call, by client; they are now the caller's to write."""
        with self._lock:
            heard, self._heard = self._heard, {}
            self._taken.appendleft(self._sessions)
            self._sessions = {}
        return heard

    def put_back(self, heard: dict[int, Heard]) -> None:
        """Remember notes that could not be written; newer ones stay."""
        with self._lock:
            for client_id, one in heard.items():
                newer = self._heard.get(client_id)
                self._heard[client_id] = one if newer is None else Heard(newer.session_id, newer.moment, newer.polled or one.polled)
                self._sessions.setdefault(one.session_id, one.moment)

    def forget(self) -> None:
        """Forget the notes that were taken: their moments mean nothing any more."""
        with self._lock:
            self._taken.clear()
