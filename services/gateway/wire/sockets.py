"""All connections of a worker, and the clock of their deadlines.

A deadline is a number that one sweep compares four times a second: a timer for each would cost more than parsing a head.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

NEVER: Final = float("inf")
SWEEP: Final = 0.25


class Swept(Protocol):
    """A connection, as the sweep sees it."""

    deadline: float

    def expired(self) -> None: ...
    def close(self) -> None: ...


class Sockets:
    """The connections of a worker.

    now: the loop's time, at most `SWEEP` ahead, so that no deadline passes early.
    """

    __slots__ = ("connections", "loop", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.now = loop.time()
        self.connections: set[Swept] = set()

    def sweep(self) -> None:
        """End what has waited too long. To be called every `SWEEP` seconds."""
        now = self.loop.time()
        self.now = now + SWEEP
        for connection in [one for one in self.connections if one.deadline < now]:
            if connection.deadline < now:  # what ended before it in this sweep may have changed that
                connection.expired()
