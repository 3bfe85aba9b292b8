"""What one account may have under way at once, so that its expensive calls leave room for all others."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from services.devices import refusals

AT_ONCE: Final = 4  # calls of an account in a process; the store takes some 15
WAITING: Final = 32  # browsers ask for six things at once, and libraries for more
PATIENCE_S: Final = 5.0


@dataclass(slots=True)
class _Line:
    """inside: calls under way. waiting: those that come next, the longest waiting first; set when it is their turn."""

    inside: int = 0
    waiting: deque[threading.Event] = field(default_factory=deque)


class Shares:
    """Counts the calls of each account in this process. Thread-safe."""

    def __init__(self, *, at_once: int = AT_ONCE, waiting: int = WAITING, patience_s: float = PATIENCE_S) -> None:
        self._at_once = at_once
        self._waiting = waiting
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}

    @contextlib.contextmanager
    def one(self, account: str) -> Iterator[None]:
        """Hold a place of the account for the length of the block. Raises Refusal 429 when too many wait, or for too long."""
        self._come_in(account)
        try:
            yield
        finally:
            self._go(account)

    def _come_in(self, account: str) -> None:
        with self._lock:
            line = self._lines.setdefault(account, _Line())
            if line.inside < self._at_once:
                line.inside += 1
                return
            if len(line.waiting) >= self._waiting:
                raise refusals.too_many_requests(1)
            called = threading.Event()
            line.waiting.append(called)
        if called.wait(self._patience_s):
            return
        with self._lock:
            if not called.is_set():
                line.waiting.remove(called)
                raise refusals.too_many_requests(1)

    def _go(self, account: str) -> None:
        with self._lock:
            line = self._lines[account]
            if line.waiting:
                line.waiting.popleft().set()
                return
            line.inside -= 1
            if not line.inside:
                del self._lines[account]
