"""Keys in memory: a known key costs one hash and one look; an unknown one asks the store in a thread, once for all who wait for it.

What was found stays until it is forgotten (`forget`, `clear`: announcements of edits and deletions call them). What was not found is
remembered for a moment only, so that a flood of wrong keys does not reach the store. When the store is away, keys in memory go on
working and all others are refused: nobody gets in because something broke.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, Protocol

from sqlalchemy.exc import SQLAlchemyError

from services.common import logging as logs
from services.gateway.keys.model import Key, Made, Opened, secret_hash
from services.gateway.refusals import KEYS_UNAVAILABLE, Refusal
from services.gateway.threads import Threads

log = logs.get(__name__)

CAPACITY: Final = 100_000
UNKNOWN_CAPACITY: Final = 10_000
UNKNOWN_FOR: Final = 1.0  # seconds
_LOOKUPS_AT_ONCE: Final = 4
_MOST_ASKED: Final = 4096  # what a store that is well answers in a few seconds
_RETRY: Final = ((b"Retry-After", b"1"),)


class Store(Protocol):
    """Raises SQLAlchemyError when the database is away."""

    def by_hash(self, hash: str) -> Opened | None: ...
    def made(self, made: Made) -> Opened | None: ...


class CachedKeys:
    """`find` belongs to the event loop; `forget`, `clear` and `take_used` may be called from any thread.

    now: epoch seconds.
    """

    def __init__(self, store: Store, *, capacity: int = CAPACITY, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._capacity = capacity
        self._now = now
        self._known: dict[str, Key] = {}
        self._ending: dict[str, tuple[Key, float]] = {}  # secrets that were rotated out and end soon
        self._unknown: dict[str, float] = {}  # when the memory ends (monotonic)
        self._asked: dict[str, asyncio.Task[Key | None]] = {}
        self._used: set[str] = set()
        self._lock = threading.Lock()
        self._threads = Threads(_LOOKUPS_AT_ONCE, "keys")
        self._away = False

    def find(self, secret: str) -> Key | Awaitable[Key | None] | None:
        """Return the key that a secret opens. Awaiting raises Refusal(KEYS_UNAVAILABLE) when the store cannot be asked."""
        return self.find_hash(secret_hash(secret))

    def find_hash(self, hash: str) -> Key | Awaitable[Key | None] | None:
        """As `find`, by the secret's hash."""
        key = self._known.get(hash)
        if key is not None:
            self._used.add(key.id)
            return key
        if self._ending:
            ending = self._ending.get(hash)
            if ending is not None and ending[1] > self._now():
                self._used.add(ending[0].id)
                return ending[0]
        ends = self._unknown.get(hash)
        if ends is not None and ends > time.monotonic():
            return None
        return self._ask(hash)

    def find_made(self, made: Made) -> Key | Awaitable[Key | None] | None:
        """As `find`, for a key that no row has. Its use is not noted."""
        key = self._known.get(made.hash)
        if key is not None:
            return key
        ends = self._unknown.get(made.hash)
        if ends is not None and ends > time.monotonic():
            return None
        return self._ask(made.hash, made)

    async def _ask(self, hash: str, made: Made | None = None) -> Key | None:
        task = self._asked.get(hash)
        if task is None:
            task = self._asked[hash] = asyncio.create_task(self._look(hash, made))
            task.add_done_callback(lambda done: self._answered(hash, done))
        # one client that goes away must not take the answer from the others
        return await asyncio.shield(task)

    def _answered(self, hash: str, task: asyncio.Task[Key | None]) -> None:
        if self._asked.get(hash) is task:
            self._asked.pop(hash, None)  # `forget` in another thread may be quicker
        if not task.cancelled():
            task.exception()  # seen: whoever waited got it as well

    async def _look(self, hash: str, made: Made | None) -> Key | None:
        if len(self._asked) > _MOST_ASKED:
            raise Refusal(KEYS_UNAVAILABLE, headers=_RETRY)
        try:
            look = partial(self._store.by_hash, hash) if made is None else partial(self._store.made, made)
            opened = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        except (SQLAlchemyError, OSError) as error:
            if not self._away:  # once: there may be thousands of them a second
                log.error("key lookup failed", error=type(error).__name__)
            self._away = True
            raise Refusal(KEYS_UNAVAILABLE, headers=_RETRY) from None
        self._away = False
        with self._lock:
            # forgotten meanwhile: what was read may be the old state, so it serves this request and is not kept
            if self._asked.get(hash) is asyncio.current_task():
                self._remember(hash, opened)
        if opened is None:
            return None
        if made is None:
            self._used.add(opened.key.id)
        return opened.key

    def _remember(self, hash: str, opened: Opened | None) -> None:
        if opened is None:
            self._make_room(self._unknown, UNKNOWN_CAPACITY)
            self._unknown[hash] = time.monotonic() + UNKNOWN_FOR
        elif opened.until is not None:
            self._make_room(self._ending, self._capacity)
            self._ending[hash] = (opened.key, opened.until)
        else:
            self._make_room(self._known, self._capacity)
            self._known[hash] = opened.key

    @staticmethod
    def _make_room(memory: dict[str, Any], capacity: int) -> None:
        """Drop the oldest tenth: cheaper than noting each use, and what is in use comes back with one look."""
        if len(memory) >= capacity:
            for hash in list(memory)[: max(1, capacity // 10)]:
                memory.pop(hash, None)

    def forget(self, hashes: Iterable[str]) -> None:
        """Forget these secrets, whose keys changed: the next request asks the store."""
        with self._lock:
            for hash in hashes:
                self._known.pop(hash, None)
                self._ending.pop(hash, None)
                self._unknown.pop(hash, None)
                self._asked.pop(hash, None)

    def clear(self) -> None:
        """Forget all: every key may have changed."""
        with self._lock:
            forgotten: tuple[dict[str, Any], ...] = (self._known, self._ending, self._unknown)
            self._known, self._ending, self._unknown = {}, {}, {}
            self._asked.clear()
        for memory in forgotten:
            while memory:  # one by one: freeing 100,000 keys in one step stalls the event loop for 60 ms
                memory.popitem()

    def take_used(self) -> set[str]:
        """Return the ids of the keys that were used since the last call."""
        used, self._used = self._used, set()
        return used

    def give_back_used(self, used: set[str]) -> None:
        """Take ids back that could not be noted: the next `take_used` returns them again."""
        self._used |= used

    def __len__(self) -> int:
        return len(self._known) + len(self._ending)
