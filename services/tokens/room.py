"""Memory for what is large: however many ask for tokens of a megabyte at once, a process holds only so many of them.

Who works with a large text takes room for it first and gives it back when the answer is sent. What is small takes none, so that ordinary
requests never wait here.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from services.tokens import refusals

SMALL = 64 * 1024  # bytes of text for which nobody has to ask
TIMES = 8  # a text passes through the driver, the interpreter, JSON and UTF-8; each makes a copy, and some characters take four bytes in it
CAPACITY = 96 * 1024 * 1024  # bytes
WAIT_S = 10.0


class Taken:
    """Room that somebody has. Give it back with `leave`; a second time does nothing."""

    def __init__(self, room: Room, size: int) -> None:
        self._room = room
        self._size = size

    def shrink(self, size: int) -> None:
        """Give back all but `size` bytes."""
        if size < self._size:
            self._room.give(self._size - size)
            self._size = size

    def leave(self) -> None:
        self.shrink(0)


class Room:
    """So many bytes for all requests of a process. Thread-safe."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._free = capacity
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, size: int, wait: float | None = None) -> Iterator[Taken]:
        """As `take`, for the length of the block."""
        found = self.take(size, wait)
        try:
            yield found
        finally:
            found.leave()

    def take(self, size: int, wait: float | None = None) -> Taken:
        """Room to work with `size` bytes of text; none for few. Raises Refusal 503 when none comes free within `wait` seconds (10)."""
        needed = 0 if size <= SMALL else min(size * TIMES, self._capacity)
        if needed:
            ends = time.monotonic() + (WAIT_S if wait is None else wait)
            with self._changed:
                while needed > self._free:
                    left = ends - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        raise refusals.too_much_at_once()
                self._free -= needed
        return Taken(self, needed)

    def give(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._changed.notify_all()
