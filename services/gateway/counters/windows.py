"""Fixed windows in this process's memory: as many as were used lately, never more than a bound."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from math import inf
from typing import Final

MOST: Final = 1_000_000
JUMP_S: Final = 1.0


class Clocks:
    """The monotonic clock decides when a window ends; the wall clock only says so to clients and to the ledger.

    offset: what to add to a monotonic moment to have epoch seconds. It stays the same until the wall clock was set, so that `reset_at`
    does not waver within a window.
    """

    __slots__ = ("_wall", "monotonic", "offset")

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self.monotonic = monotonic
        self._wall = wall
        self.offset = self._measured()

    def _measured(self) -> float:
        """Return the offset, from the quickest of a few readings: a pause of the process would add to the difference of the clocks."""
        readings = []
        for _ in range(3):
            before = self.monotonic()
            wall = self._wall()
            readings.append((self.monotonic() - before, wall - before))
        return min(readings)[1]

    def jumped(self) -> bool:
        """Whether the wall clock was set by more than a second since the last call; the offset is then the new one."""
        offset = self._measured()
        if abs(offset - self.offset) <= JUMP_S:
            return False
        self.offset = offset
        return True


class Window:
    """ends: on the monotonic clock, `inf` = never. used: charged so far. unwritten: how many of these the ledger does not know yet."""

    __slots__ = ("ends", "unwritten", "used")

    def __init__(self, ends: float, used: int = 0) -> None:
        self.ends = ends
        self.used = used
        self.unwritten = 0


class Windows:
    """Counters by name. `held` may still hold ended windows: look at `ends`.

    Every opening retires up to two ended windows, so the table shrinks as fast as it grows without a pause that a client would feel.
    When it is full, the window that ends soonest makes room: least is forgotten with it.
    """

    __slots__ = ("_by_end", "_most", "held")

    def __init__(self, most: int = MOST) -> None:
        self.held: dict[str, Window] = {}
        self._by_end: list[tuple[float, str]] = []  # also has entries of windows that were dropped or moved meanwhile
        self._most = most

    def __len__(self) -> int:
        return len(self.held)

    def open(self, counter: str, now: float, window: float) -> Window:
        """Open a window from now on, in place of one that has ended. window: seconds, 0 or less = never ends."""
        self.retire(now, 2)
        return self.put(counter, Window(now + window if window > 0 else inf))

    def put(self, counter: str, window: Window) -> Window:
        if counter not in self.held:
            while len(self.held) >= self._most:
                self._evict()
        self.held[counter] = window
        heapq.heappush(self._by_end, (window.ends, counter))
        if len(self._by_end) > 2 * len(self.held) + 1024:
            self._by_end = [(held.ends, name) for name, held in self.held.items()]
            heapq.heapify(self._by_end)
        return window

    def drop(self, counter: str) -> None:
        self.held.pop(counter, None)

    def retire(self, now: float, most: int) -> bool:
        """Drop at most so many ended windows; return whether there may be more."""
        by_end, held = self._by_end, self.held
        for _ in range(most):
            if not by_end or by_end[0][0] > now:
                return False
            counter = heapq.heappop(by_end)[1]
            window = held.get(counter)
            if window is not None and window.ends <= now:
                del held[counter]
        return True

    def _evict(self) -> None:
        ends, counter = heapq.heappop(self._by_end)
        window = self.held.get(counter)
        if window is not None and window.ends <= ends:
            del self.held[counter]
