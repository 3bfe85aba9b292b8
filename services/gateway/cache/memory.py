"""Answers in the memory of one worker, within a bound that the APIs share fairly: who takes more than its part gives way first.

Of an API the answer goes that was not asked for longest. One lock guards all: a purge comes from another thread.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from services.gateway.cache.answers import Kept
from services.gateway.cache.port import Found

MOST_BYTES: Final = 64 * 1024 * 1024
# An answer that would take more than this part of the bound is not kept.
_LARGEST: Final = 4
# When the bound is reached, this part of it is freed at once: to look for who has most takes time.
_AT_ONCE: Final = 100


class _Shelf:
    """The answers of one API, those asked for last at the end. size: bytes."""

    __slots__ = ("kept", "size")

    def __init__(self) -> None:
        self.kept: OrderedDict[bytes, Kept] = OrderedDict()
        self.size = 0


class MemoryAnswers:
    """The `AnswerStore` of a gateway with one worker."""

    def __init__(self, most: int = MOST_BYTES, now: Callable[[], float] = time.time) -> None:
        """most: bytes of all answers together. now: epoch seconds."""
        self.hits = self.misses = 0
        self._most = most
        self._now = now
        self._shelves: dict[str, _Shelf] = {}
        self._size = 0
        self._purges = 0
        self._lock = Lock()

    @property
    def size(self) -> int:
        return self._size

    def find(self, api_id: str, name: bytes) -> Found:
        with self._lock:
            shelf = self._shelves.get(api_id)
            kept = None if shelf is None else shelf.kept.get(name)
            if shelf is not None and kept is not None:
                if kept.until > self._now():
                    shelf.kept.move_to_end(name)
                else:
                    self._drop(api_id, shelf, name)
                    kept = None
            return kept, self._purges

    def keep(self, api_id: str, name: bytes, kept: Kept, mark: Any) -> None:
        size = kept.size
        if size > self._most // _LARGEST:
            return
        with self._lock:
            if mark != self._purges:
                return
            shelf = self._shelves.get(api_id)
            if shelf is not None and name in shelf.kept:
                self._drop(api_id, shelf, name)
            # The last one may have taken its shelf with it.
            shelf = self._shelves.setdefault(api_id, _Shelf())
            shelf.kept[name] = kept
            shelf.size += size
            self._size += size
            if self._size > self._most:
                self._make_room()

    def forget(self, api_id: str, name: bytes) -> None:
        with self._lock:
            shelf = self._shelves.get(api_id)
            if shelf is not None and name in shelf.kept:
                self._drop(api_id, shelf, name)

    async def purge(self, api_id: str) -> None:
        with self._lock:
            self._purges += 1
            shelf = self._shelves.pop(api_id, None)
            if shelf is not None:
                self._size -= shelf.size

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def _make_room(self) -> None:
        """Take from the API that has most, down to its part, then from the next."""
        wanted = self._most - self._most // _AT_ONCE
        while self._size > wanted:
            api_id, shelf = max(self._shelves.items(), key=lambda item: item[1].size)
            part = wanted // len(self._shelves)
            while self._size > wanted and shelf.kept:
                self._drop(api_id, shelf, next(iter(shelf.kept)))
                if shelf.size <= part:
                    break

    def _drop(self, api_id: str, shelf: _Shelf, name: bytes) -> None:
        size = shelf.kept.pop(name).size
        shelf.size -= size
        self._size -= size
        if not shelf.kept:
            del self._shelves[api_id]
