"""Answers in the memory of one worker, within a bound that the APIs share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from services.gateway.cache.answers import Kept
from services.gateway.cache.port import Found
from services.gateway.cache.shelves import Shelves

MOST_BYTES: Final = 64 * 1024 * 1024


class MemoryAnswers:
    """The `AnswerStore` of a gateway with one worker."""

    def __init__(self, most: int = MOST_BYTES, now: Callable[[], float] = time.time) -> None:
        """most: bytes of all answers together. now: epoch seconds."""
        self.hits = self.misses = 0
        self._now = now
        self._shelves: Shelves[Kept] = Shelves(most)
        self._purges = 0

    @property
    def size(self) -> int:
        return self._shelves.size

    def find(self, api_id: str, name: bytes) -> Found:
        kept = self._shelves.find(api_id, name)
        if kept is not None and kept.until <= self._now():
            self._shelves.drop(api_id, name)
            kept = None
        return kept, self._purges

    def keep(self, api_id: str, name: bytes, kept: Kept, mark: Any) -> None:
        if mark == self._purges:
            self._shelves.put(api_id, name, kept, kept.size)

    def forget(self, api_id: str, name: bytes) -> None:
        self._shelves.drop(api_id, name)

    async def purge(self, api_id: str) -> None:
        self._purges += 1
        self._shelves.purge(api_id)

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass
