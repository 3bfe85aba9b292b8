"""Live streams: what changed of a device, told as soon as it is stored.

A stream waits for wake-ups of its device and holds no connection to the store meanwhile. Every few seconds, and when anything in the
registry changes, it checks that its client is there and may still ask, and looks at the device even if nobody woke it.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from services.common.clock import Clock, isoformat
from services.common.core_database import is_unavailable
from services.common.database import Database
from services.common.held import ClientConnection, Places
from services.common.refusal import Refusal
from services.common.wakeups import Wakeups
from services.devices import known, refusals
from services.devices.access import DeviceRef
from services.devices.data.ingest.ingest import topic
from services.devices.data.store import states
from services.devices.data.store.states import State

PULSE_S: Final = 3.0  # how often a stream looks whether it may go on
HEARTBEAT_S: Final = 20.0  # a stream that has nothing to say shows that it lives
PAUSE_S: Final = 0.2  # between two looks: a device that sends without a pause does not keep the store busy for its streams
RETRY_MS: Final = 2000  # what a client waits before it connects again


class Live:
    """The streams of a process. Thread-safe. places: how many there may be; one account may take half of them."""

    def __init__(self, database: Database, wakeups: Wakeups, clock: Clock, places: Places, *, pulse_s: float = PULSE_S) -> None:
        self._database = database
        self._wakeups = wakeups
        self._clock = clock
        self._pulse_s = pulse_s
        self._places = places
        self._most_of_account = max(1, places.limit // 2)
        self._lock = threading.Lock()
        self._of_account: Counter[str] = Counter()

    def take(self, account: str) -> None:
        """Take a place for a stream of the account; `leave` must follow. Raises Refusal 503 when too many are taken."""
        with self._lock:
            if self._of_account[account] >= self._most_of_account:
                raise refusals.too_many_live()
            self._places.take()
            self._of_account[account] += 1

    def leave(self, account: str) -> None:
        """Give the place back."""
        with self._lock:
            self._places.leave()
            self._of_account[account] -= 1
            self._of_account += Counter()  # leaves out what is zero

    @property
    def taken(self) -> int:
        """How many streams there are."""
        return self._places.taken

    def follow(self, device: DeviceRef, seen: str | None, check: Callable[[], object], connection: ClientConnection) -> Iterator[str]:
        """Write server-sent events about a device until the client goes, may no longer ask, or the process stops.

        seen: `Last-Event-ID` of a client that connects again. check: raises Refusal once the client may no longer ask.
        The caller takes a place before, and gives it back.
        """
        yield f"retry: {RETRY_MS}\n\n"
        last: State | None = None
        spoke = self._clock.monotonic()
        with self._wakeups.ticket(topic(device.no), known.TOPIC) as ticket:  # before the first look: nothing is lost in between
            while not self._wakeups.closing and not connection.gone():
                try:
                    check()
                    state = self._look(device)
                except Refusal as refusal:
                    if refusal.status < 500:
                        return
                    state = last  # auth does not answer now: what it said last counts
                except Exception as error:
                    if not is_unavailable(error):
                        raise
                    state = last
                if state is None and last is not None:
                    return
                if state is not None and state != last:
                    if last is not None or seen != str(state.seq):
                        yield _event(device, state)
                        spoke = self._clock.monotonic()
                    last = state
                if self._clock.monotonic() - spoke >= HEARTBEAT_S:
                    yield ": alive\n\n"
                    spoke = self._clock.monotonic()
                time.sleep(min(PAUSE_S, self._pulse_s))
                ticket.wait(self._pulse_s)

    def _look(self, device: DeviceRef) -> State | None:
        with self._database.read() as session:
            return states.read(session, device.no, device.chunk_period, device.chunk_retention, self._clock.now())


def _event(device: DeviceRef, state: State) -> str:
    told = {
        "device": device.id,
        "seq": state.seq,
        "amount": state.amount,
        "last_input": None if state.last_input is None else isoformat(state.last_input),
    }
    return f"id: {state.seq}\nevent: data\ndata: {json.dumps(told, separators=(',', ':'))}\n\n"
