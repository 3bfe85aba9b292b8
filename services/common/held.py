"""Requests that are held open: long polls and streams. `Places` limits how many a process holds; `ClientConnection` tells that a client
went away, so that clients that did not say goodbye do not fill the places.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator

from services.common.refusal import Refusal

PULSE_S = 5.0  # how often who waits checks its client


class Places:
    """Counts who waits in this process, up to a limit. Thread-safe. full: makes what is raised when all places are taken."""

    def __init__(self, limit: int, full: Callable[[], Refusal]) -> None:
        self.limit = limit
        self._full = full
        self._lock = threading.Lock()
        self.taken = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Take a place for the length of the block. Raises `full` when all are taken."""
        self.take()
        try:
            yield
        finally:
            self.leave()

    def take(self) -> None:
        """Take a place; `leave` must follow. Raises `full` when all are taken."""
        with self._lock:
            if self.taken >= self.limit:
                raise self._full()
            self.taken += 1

    def leave(self) -> None:
        """Give the place back."""
        with self._lock:
            self.taken -= 1


class ClientConnection:
    """The client's connection, where the server tells it (gunicorn does, as `gunicorn.socket`)."""

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection

    def gone(self) -> bool:
        """Say whether the client has closed or lost its connection."""
        if self._connection is None:
            return False
        try:
            poll = select.poll()
            poll.register(self._connection, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
            return bool(poll.poll(0))
        except (OSError, ValueError):
            return True
