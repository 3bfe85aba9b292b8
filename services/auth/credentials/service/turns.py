"""Whose password is checked next: a bounded queue that guesses do not fill.

Each check has a rank. The last places of the queue are kept for higher ranks, which also have their turn first; every fourth turn goes to
the check that has waited longest, so that none waits forever.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, deque
from collections.abc import Collection, Iterator
from typing import NamedTuple

from services.auth import refusals

FAMILIAR, ORDINARY, SUSPECT = range(3)
_FAIR_TURN = 4


class _Waiting(NamedTuple):
    number: int
    called: threading.Event


class Turns:
    """Thread-safe. slots: turns at the same time; queue: how many more may wait for one.

    When a holder (an account, an address, a familiar place, an account's owner) has an eighth of the queue already, its further checks rank
    as suspects.
    """

    def __init__(self, *, slots: int, queue: int) -> None:
        self._lock = threading.Lock()
        self._free = slots
        kept = queue // 10
        self._room = tuple(slots + queue - rank * kept for rank in (FAMILIAR, ORDINARY, SUSPECT))
        self._share = max(1, queue // 8)
        self._inside = 0
        self._holders: Counter[str] = Counter()
        self._waiting: tuple[deque[_Waiting], ...] = (deque(), deque(), deque())
        self._number = 0
        self._called = 0

    @contextlib.contextmanager
    def turn(self, rank: int, holders: Collection[str] = ()) -> Iterator[None]:
        """Wait for a turn and hold it during the block. holders: whose share it uses. Raises Refusal 503 when too many wait."""
        waiting = self._enter(rank, holders)
        try:
            if waiting is not None:
                waiting.called.wait()
            yield
        finally:
            self._leave(holders)

    def _enter(self, rank: int, holders: Collection[str]) -> _Waiting | None:
        with self._lock:
            if any(self._holders[holder] >= self._share for holder in holders):
                rank = SUSPECT
            if self._inside >= self._room[rank]:
                raise refusals.busy()
            self._inside += 1
            self._holders.update(holders)
            if self._free:
                self._free -= 1
                return None
            self._number += 1
            waiting = _Waiting(self._number, threading.Event())
            self._waiting[rank].append(waiting)
            return waiting

    def _leave(self, holders: Collection[str]) -> None:
        with self._lock:
            self._inside -= 1
            for holder in holders:
                self._holders[holder] -= 1
                if not self._holders[holder]:
                    del self._holders[holder]
            queues = [queue for queue in self._waiting if queue]
            if not queues:
                self._free += 1
                return
            self._called += 1
            longest = self._called % _FAIR_TURN == 0
            queue = min(queues, key=lambda one: one[0].number) if longest else queues[0]
            queue.popleft().called.set()
