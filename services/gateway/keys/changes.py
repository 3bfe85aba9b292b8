"""Makes a worker forget the keys that changed in the store: each change once, and nothing else.

A worker hears of a change by an announcement, which carries its number and the hashes. A look at the store's log finds the changes that
were not announced, because a message was lost or its sender died.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Set
from typing import Final, Protocol

from services.gateway.keys.cache import CachedKeys

# Stands for the hashes of all keys, in the log and in announcements: a policy changed.
EVERY: Final = "*"


class Changes(Protocol):
    """number: the generation now. entries: (generation, hash); None = unknown, so it may be every key."""

    @property
    def number(self) -> int: ...
    @property
    def entries(self) -> Iterable[tuple[int, str]] | None: ...


class Log(Protocol):
    """Each raises the store's error when it is away."""

    def generation(self) -> int: ...
    def changes(self, seen: int) -> Changes: ...


class KeyChanges:
    """One for each worker. Thread-safe; `heard` does not ask the store."""

    def __init__(self, log: Log, keys: CachedKeys) -> None:
        self._log = log
        self._keys = keys
        self._lock = threading.Lock()
        self._seen = 0
        self._heard: set[int] = set()  # generations above `_seen`

    def begin(self) -> None:
        """Count the present generation as seen: before the first key is in memory."""
        self._seen = self._log.generation()

    def heard(self, generation: int, hashes: Iterable[str]) -> None:
        """Forget the keys of an announced change."""
        self._forget(set(hashes))
        with self._lock:
            if generation > self._seen:
                self._heard.add(generation)
            self._move_on()

    def look(self) -> None:
        """Find the changes that were not heard of, and forget their keys. Raises the store's error."""
        seen = self._seen
        changes = self._log.changes(seen)
        with self._lock:
            if changes.entries is None:
                self._keys.clear()
                self._seen = changes.number
                self._heard.clear()  # they may be of a database that was replaced
            else:
                missed = {hash for number, hash in changes.entries if number > self._seen and number not in self._heard}
                self._forget(missed)
                self._seen = max(self._seen, changes.number)
            self._move_on()

    def _forget(self, hashes: Set[str]) -> None:
        if EVERY in hashes:
            self._keys.clear()
        elif hashes:
            self._keys.forget(hashes)

    def _move_on(self) -> None:
        while self._seen + 1 in self._heard:
            self._seen += 1
        self._heard = {number for number in self._heard if number > self._seen}
