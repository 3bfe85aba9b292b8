"""What was looked up a moment ago, and how every process forgets it when it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, Generic, TypeVar

from services.common import logging as logs
from services.common.clock import Clock
from services.common.wakeups import Wakeups

T = TypeVar("T")

log = logs.get(__name__)

KEPT_S: Final = 1.0  # a process that does not hear of a change finds it after so long
RENEWED_S: Final = 0.5  # what is recalled later than that after it was looked up is looked up again
GATHER_S: Final = 0.1  # so long others may join
TOPIC: Final = "registry"
_MOST: Final = 20_000


class Known(Generic[T]):
    """Answers of the store by a text, each for a second. What is not there is not kept: it is found as soon as it is. Thread-safe."""

    def __init__(self, clock: Clock, is_over: Callable[[], bool] = lambda: False) -> None:
        """is_over: whether the process ends, so that nothing is renewed any more."""
        self._clock = clock
        self._is_over = is_over
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, T]] = {}
        self._generation = 0
        self._ending: set[str] = set()  # keys that are renewed next
        self._renewing = False

    def get(self, key: str, find: Callable[[], T | None]) -> T | None:
        """Return what is known of the key. find: asks the store; what it raises is raised."""
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic() < kept[0]:
            return kept[1]
        generation = self._generation
        until = self._clock.monotonic() + KEPT_S  # counted from before the store looked
        found = find()
        with self._lock:
            if found is None:
                self._kept.pop(key, None)  # so that a look-up in the background that began before does not bring it back
                return None
            if generation == self._generation:  # else it changed while the store looked
                if len(self._kept) >= _MOST:
                    self._kept.clear()
                self._kept[key] = until, found
        return found

    def recall(self, key: str, find: Callable[[Collection[str]], Mapping[str, T]]) -> T | None:
        """Return what is known of the key, and ask for nothing.

        find: asks the store for several keys. It is called in a thread for those that are recalled shortly before they end, so that what is
        asked for all the time costs a question now and then, together with others, and nobody waits for it.
        """
        kept = self._kept.get(key)
        now = self._clock.monotonic()
        if kept is None or now >= kept[0]:
            return None
        if now >= kept[0] - (KEPT_S - RENEWED_S) and key not in self._ending:
            with self._lock:
                self._ending.add(key)
                begin = not self._renewing
                self._renewing = True
            if begin:
                self._begin(find)
        return kept[1]

    def _begin(self, find: Callable[[Collection[str]], Mapping[str, T]]) -> None:
        try:
            threading.Thread(target=self._renew, args=(find,), name="renewing", daemon=True).start()
        except RuntimeError:  # the system has no thread to spare: what is recalled next tries again
            with self._lock:
                self._ending, self._renewing = set(), False

    def _renew(self, find: Callable[[Collection[str]], Mapping[str, T]]) -> None:
        time.sleep(GATHER_S)
        if self._is_over():  # the store is closed
            return
        with self._lock:
            generation = self._generation
            keys, self._ending = self._ending, set()
            before = {key: self._kept[key] for key in keys if key in self._kept}
        until = self._clock.monotonic() + KEPT_S
        found: Mapping[str, T] | None = None
        try:
            found = find(before.keys())
        except Exception as error:  # who asks next meets it, too, and tells the client
            log.warning("not renewed", keys=len(before), error=type(error).__name__)
        with self._lock:
            self._renewing = False
            if found is None or generation != self._generation:
                return
            for key, kept in before.items():
                if self._kept.get(key) is not kept:  # who asked meanwhile knows better
                    continue
                if key in found:
                    self._kept[key] = until, found[key]
                else:
                    del self._kept[key]

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
        wakeups.listen(self._hear)

    def known(self) -> Known[T]:
        """Return a new store of answers, which is emptied at every change."""
        known = Known[T](self._clock, lambda: self._wakeups.closing)
        self.call(known.forget)
        return known

    def call(self, forget: Callable[[], None]) -> None:
        """Have this called at every change, in any thread; it must not wait and must not raise."""
        self._forget.append(forget)

    def announce(self) -> None:
        """Forget in this process now, in all others as soon as they hear of it. Call it after the commit, before the answer."""
        self._wakeups.publish([self._topic])

    def _hear(self, topic: str | None) -> None:
        if topic is None or topic == self._topic:
            for forget in self._forget:
                forget()
