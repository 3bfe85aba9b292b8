"""Long polls: look, wait for a wake-up, look again, until something is there, the time is over or the process stops.

A held poll costs one sleeping thread and neither a session nor a connection of the database: `look` opens its own. `Places` limits how many
there are. Every few seconds a waiter checks that its client is still connected, so that clients that went away do not fill the places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from services.common.clock import Clock
from services.common.held import PULSE_S, ClientConnection, Places
from services.common.wakeups import Wakeups

T = TypeVar("T")


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
