"""What was looked up a moment ago, and how every process forgets it when it changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from services.common.clock import Clock
from services.common.wakeups import Wakeups

T = TypeVar("T")

KEPT_S: Final = 1.0  # a process that does not hear of a change finds it after so long
TOPIC: Final = "registry"
_MOST: Final = 20_000
_LISTEN_S: Final = 60.0


class Known(Generic[T]):
    """Answers of the store by a text, each for a second. What is not there is not kept: it is found as soon as it is. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, T]] = {}
        self._generation = 0

    def get(self, key: str, find: Callable[[], T | None]) -> T | None:
        """Return what is known of the key. find: asks the store; what it raises is raised."""
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic() < kept[0]:
            return kept[1]
        generation = self._generation
        until = self._clock.monotonic() + KEPT_S  # counted from before the store looked
        found = find()
        if found is None:
            return None
        with self._lock:
            if generation == self._generation:  # else it changed while the store looked
                if len(self._kept) >= _MOST:
                    self._kept.clear()
                self._kept[key] = until, found
        return found

    def forget(self) -> None:
        """Look everything up again."""
        with self._lock:
            self._generation += 1
            self._kept.clear()


class Changes:
    """Tells every process that a device or a token is no longer what it was; with a topic of their own, that other things are not."""

    def __init__(self, wakeups: Wakeups, clock: Clock, topic: str = TOPIC) -> None:
        self._wakeups = wakeups
        self._topic = topic
        self._clock = clock
        self._forget: list[Callable[[], None]] = []

    def known(self) -> Known[T]:
        """Return a new store of answers, which is emptied at every change."""
        known = Known[T](self._clock)
        self.call(known.forget)
        return known

    def call(self, forget: Callable[[], None]) -> None:
        """Have this called at every change, in any thread."""
        self._forget.append(forget)

    def announce(self) -> None:
        """Forget in this process now, in all others as soon as they hear of it. Call it after the commit, before the answer."""
        self._all()
        self._wakeups.publish([self._topic])

    def start(self) -> None:
        """Listen to the other processes until the wake-ups are closed."""
        threading.Thread(target=self._listen, name="changes", daemon=True).start()

    def _all(self) -> None:
        for forget in self._forget:
            forget()

    def _listen(self) -> None:
        with self._wakeups.ticket(self._topic) as ticket:
            while not self._wakeups.closing:
                if ticket.wait(_LISTEN_S):
                    self._all()
