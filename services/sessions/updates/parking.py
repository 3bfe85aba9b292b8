"""Polls that wait without a thread. Whoever has their connections parks them here, and is told what to answer.

A poll is parked first and looked at then: a change in between is not lost. One thread looks, whenever something changes; it reads the store
once for all polls that know the same.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.common import logging as logs
from services.common.core_database import is_unavailable
from services.common.held import Places
from services.common.wakeups import Wakeups
from services.sessions.access import Seat
from services.sessions.directory import Followed, Snapshot, session_of
from services.sessions.updates import rules
from services.sessions.updates.rules import Known
from services.sessions.updates.service import Update, Updates

log = logs.get(__name__)

TICKS: Final = 20  # a second: how exactly a poll ends in time
AGAIN_S: Final = 1.0  # until it looks again, after the store did not answer


class Ask:
    """The outcome of a poll that the application answers."""


class Released:
    """The outcome of a poll whose client must stop."""


Outcome = Update | type[Ask] | type[Released] | None  # None: nothing happened
Settle = Callable[[Sequence[tuple["Parked", Outcome]]], None]


@dataclass(slots=True, eq=False)
class Parked:
    """A poll that waits. owner: whatever knows its connection. tick: when its time is over. confirmed: its seat was looked at."""

    seat: Seat
    known: Known
    tick: int
    owner: Any
    key: tuple[tuple[str, int], ...] = ()
    confirmed: bool = False

    def __post_init__(self) -> None:
        self.key = tuple(sorted(self.known.items()))


class Parking:
    """The parked polls of a process. Thread-safe."""

    def __init__(self, updates: Updates, followed: Followed, wakeups: Wakeups, places: Places) -> None:
        self._updates = updates
        self._followed = followed
        self._wakeups = wakeups
        self._places = places
        self._lock = threading.Lock()
        self._sessions: dict[int, set[Parked]] = {}
        self._ticks: defaultdict[int, set[Parked]] = defaultdict(set)
        self._asked: queue.SimpleQueue[int | None] = queue.SimpleQueue()  # sessions to look at; None: only to look at the time
        self._next: float = -1  # the tick that the thread waits for
        self._again: dict[int, float] = {}
        self._settle: Settle | None = None
        self._thread: threading.Thread | None = None
        wakeups.listen(self._hear)

    def start(self, settle: Settle) -> None:
        """Begin to look. settle: is given polls and their outcomes, in the thread that looks; it must not wait."""
        self._settle = settle
        self._thread = threading.Thread(target=self._keep_on, name="polls", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the thread that looks, once the wake-ups are closed: the store is closed next, and it may be using it."""
        self._asked.put(None)
        if self._thread is not None:
            self._thread.join(5)

    def park(self, poll: Parked) -> bool:
        """Have a poll wait. False when the process stops. Raises Refusal 503 when all places are taken."""
        self._places.take()
        session_id = poll.seat.session.id
        with self._lock:
            self._sessions.setdefault(session_id, set()).add(poll)
            self._ticks[poll.tick].add(poll)
            earlier = poll.tick < self._next
        snapshot = self._followed.remembered(session_id)
        if snapshot is not None and _is_seated(snapshot, poll) and not rules.has_news(snapshot.lists, poll.known):
            poll.confirmed = True
            if earlier:
                self._asked.put(None)
        else:
            self._asked.put(session_id)
        return not (self._wakeups.closing and self._take([poll]))  # unless it was answered meanwhile

    def forget(self, poll: Parked) -> None:
        """Have a poll wait no longer: its client is gone."""
        self._take([poll])

    def _hear(self, topic: str | None) -> None:
        session_id = None if topic is None else session_of(topic)
        if session_id in self._sessions:
            self._asked.put(session_id)
        elif topic is None:
            for one in list(self._sessions):
                self._asked.put(one)

    def _keep_on(self) -> None:
        while not self._wakeups.closing:
            sessions = self._wait()
            for session_id in sessions:
                try:
                    self._look(session_id)
                except Exception as error:  # one session must not end the polls of all
                    self._failed(session_id, error)
            self._expire()
        with self._lock:
            left = [poll for polls in self._sessions.values() for poll in polls]
        self._done(left, None)

    def _wait(self) -> set[int]:
        """Wait for something to do, and return the sessions to look at."""
        with self._lock:
            self._next = min(self._ticks, default=math.inf)
        now = time.monotonic()
        until = min(self._next / TICKS, *self._again.values(), now + 60)
        found = set()
        try:
            asked = self._asked.get(timeout=max(0.0, until - now))
            while True:
                if asked is not None:
                    found.add(asked)
                asked = self._asked.get_nowait()
        except queue.Empty:
            pass
        with self._lock:
            self._next = -1  # awake
        now = time.monotonic()
        found |= {session_id for session_id, moment in self._again.items() if moment <= now}
        for session_id in found:
            self._again.pop(session_id, None)
        return found

    def _look(self, session_id: int) -> None:
        with self._lock:
            polls = list(self._sessions.get(session_id, ()))
        if not polls:
            return
        snapshot = self._followed.snapshot(session_id)
        if snapshot is None or not all(_is_seated(snapshot, poll) and not rules.is_ahead(snapshot.lists, poll.known) for poll in polls):
            self._followed.forget(session_id)  # or the wake-up is still on its way from another process
            snapshot = self._followed.snapshot(session_id)
        groups: dict[tuple[tuple[str, int], ...], list[Parked]] = {}
        gone = []
        for poll in polls:
            if snapshot is None or not _is_seated(snapshot, poll):
                gone.append(poll)
            else:
                groups.setdefault(poll.key, []).append(poll)
        self._done([poll for poll in gone if poll.confirmed], Released)
        self._done([poll for poll in gone if not poll.confirmed], Ask)
        if snapshot is None:
            return
        for group in groups.values():
            found = self._updates.news(snapshot, group[0].known)
            if found is not None:
                self._done(group, found)
            for poll in group:
                poll.confirmed = True

    def _failed(self, session_id: int, error: Exception) -> None:
        """Let those wait who were told nothing yet; whoever has just come is answered by the application, which finds the same."""
        if not is_unavailable(error):
            log.exception("polls not looked at", session=session_id)
        with self._lock:
            new = [poll for poll in self._sessions.get(session_id, ()) if not poll.confirmed]
        self._done(new, Ask)
        self._again[session_id] = time.monotonic() + AGAIN_S

    def _expire(self) -> None:
        now = math.floor(time.monotonic() * TICKS)
        with self._lock:
            over = [poll for tick in [tick for tick in self._ticks if tick <= now] for poll in self._ticks[tick]]
        self._done([poll for poll in over if poll.confirmed], None)

    def _done(self, polls: Sequence[Parked], outcome: Outcome) -> None:
        taken = self._take(polls)
        if taken and self._settle is not None:
            self._settle([(poll, outcome) for poll in taken])

    def _take(self, polls: Iterable[Parked]) -> list[Parked]:
        """Remove polls, and return those that were still there."""
        taken = []
        with self._lock:
            for poll in polls:
                of_session = self._sessions.get(poll.seat.session.id)
                if of_session is None or poll not in of_session:
                    continue
                of_session.discard(poll)
                if not of_session:
                    del self._sessions[poll.seat.session.id]
                of_tick = self._ticks[poll.tick]
                of_tick.discard(poll)
                if not of_tick:
                    del self._ticks[poll.tick]
                taken.append(poll)
        for _ in taken:
            self._places.leave()
        return taken


def _is_seated(snapshot: Snapshot, poll: Parked) -> bool:
    client = poll.seat.client
    return snapshot.session.ended_at is None and (client is None or client.id in snapshot.clients)
