"""What auth said, kept for a short while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from services.common.clock import Clock
from services.common.identity.identity import Identity
from services.common.identity.refusals import AuthUnavailable
from services.common.refusal import Refusal


class Answers:
    """What auth said, for a short while; of several who ask the same at once one asks auth, the others wait for its answer."""

    LARGEST = 50_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[bytes, tuple[float, Identity | Refusal]] = {}
        self._asking: dict[bytes, Future[Identity | Refusal]] = {}

    def get(self, key: bytes, ask: Callable[[], tuple[Identity | Refusal, float]], *, share_refusals: bool = True) -> Identity | Refusal:
        """ask: gives the answer and for how many seconds it may be kept; it must not raise.

        share_refusals: False where auth must hear of each attempt: then a refusal is for the one who asked alone, neither kept nor given to
        those who wait for it; they ask themselves.
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and self._clock.monotonic() < kept[0]:
                return kept[1]
            running = self._asking.get(key)
            if running is None:
                mine = self._asking[key] = Future[Identity | Refusal]()
        if running is not None:
            shared = running.result()
            return ask()[0] if isinstance(shared, Refusal) and not share_refusals else shared
        started = self._clock.monotonic()  # before auth looked: what it said may be old when it arrives
        found: Identity | Refusal = AuthUnavailable()
        try:
            found, seconds = ask()
            with self._lock:
                if seconds > 0 and (share_refusals or isinstance(found, Identity)):
                    self._make_room(started)
                    self._kept[key] = (started + seconds, found)
                else:
                    self._kept.pop(key, None)
        finally:
            with self._lock:
                self._asking.pop(key, None)
            mine.set_result(found)
        return found

    def _make_room(self, now: float) -> None:
        if len(self._kept) >= self.LARGEST:
            self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
        if len(self._kept) >= self.LARGEST:
            self._kept.clear()
