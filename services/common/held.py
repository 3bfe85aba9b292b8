"""Requests that are held open: long polls and streams. `Places` limits how many a process holds; `ClientConnection` tells that a client
went away, so that clients that did not say goodbye do not fill the places; `Waiter` looks, waits for a wake-up and looks again, until
something is there, the time is over or the process stops.

A held poll costs one sleeping thread and neither a session nor a connection of the database: `look` opens its own.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.common.clock import Clock
from services.common.refusal import Refusal
from services.common.wakeups import Wakeups

T = TypeVar("T")

PULSE_S = 5.0  # how often who waits checks its client


class Places(Collector):
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

    def collect(self) -> Iterator[Metric]:
        """Yield how many are taken, for `/metrics`."""
        yield GaugeMetricFamily("service_held_requests", "Long polls and streams that are held open.", value=self.taken)
        yield GaugeMetricFamily("service_held_requests_limit", "Long polls and streams that one process may hold.", value=self.limit)


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


class Waiter:
    """Runs long polls over the service's wake-ups."""

    def __init__(self, wakeups: Wakeups, clock: Clock, places: Places) -> None:
        self._wakeups = wakeups
        self._clock = clock
        self.places = places

    @property
    def closing(self) -> bool:
        """Whether the process stops."""
        return self._wakeups.closing

    def poll(self, topic: str, look: Callable[[], T | None], seconds: float, connection: ClientConnection) -> T | None:
        """Wait as `wait` does, in a place of its own. Raises Refusal 503 when none is free."""
        if seconds <= 0:
            return look()
        with self.places.one():
            return self.wait(topic, look, seconds, connection)

    def wait(self, topic: str, look: Callable[[], T | None], seconds: float, connection: ClientConnection) -> T | None:
        """Return what `look` finds, at once or after a wake-up on `topic`.

        None when `seconds` are over, the client is gone or the process stops. Raises what `look` raises.
        """
        with self._wakeups.ticket(topic) as ticket:  # before the first look, so that no wake-up is lost in between
            ends = self._clock.monotonic() + seconds
            while (found := look()) is None:
                left = ends - self._clock.monotonic()
                if left <= 0 or self._wakeups.closing:
                    return None
                # not woken within a pulse: check the client, not the store
                while not ticket.wait(min(left, PULSE_S)):
                    left = ends - self._clock.monotonic()
                    if left <= 0 or self._wakeups.closing or connection.gone():
                        return None
        return found
