"""Bound what a store that does not answer may cost: the time of a call, and the threads that wait.

* Every thread knows the **call** it is in: until when it may wait for the store. The drivers ask it (`postgresql.py`, `core_database.py`),
  and say when they ask the store and when it answers.
* A **gate** lets a number of calls in at the same time, in the order of arrival. Who cannot get in waits while the others work or are
  answered, and is refused when all of them ask the store and none is answered.
* A **breaker** refuses at once for a moment after a call has found the store away; then one call at a time tries. The first answer
  closes it.

A gate and a breaker for reads, others for writes: a lock that somebody holds keeps writers waiting and no reader. Where the whole store
goes away at once (PostgreSQL), reads and writes share the breaker; where only one can write at a time (SQLite), writers have **turns**.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from services.common import logging as logs

log = logs.get(__name__)

T = TypeVar("T")

ANSWER_S = 3.5  # without an answer for so long, the store is away; the first exchange of a call and a new connection are within it
FIRST_ANSWER_S = 1.5  # the first answer on a kept connection; what is left of ANSWER_S is for a new connection
STALL_S = 1.0  # a gate that is full, while nobody inside was answered for so long, refuses; a busy store takes less
TRIAL_S = ANSWER_S + 1.0  # another call may try when the one that tries has not come back
LONG_WORK_S = 60.0  # for work that is known to take long: a whole table
PAUSE_S = 0.5  # how long a breaker refuses before a call tries again


class StoreUnavailable(SQLAlchemyError):
    """The call was refused without asking the store, because others already wait for it without an answer."""


class _Call(threading.local):
    """What this thread's call may still wait for. Outside a guard: each exchange ANSWER_S."""

    depth = 0
    until = math.inf  # time.monotonic(): no new attempt after it
    patience_s = ANSWER_S
    heard = False  # the store has answered something in this call
    away = False  # the last thing the call learned about the store
    tries = False  # this call tries for all who are refused meanwhile
    gate: _Gate | None = None
    breaker: _Breaker | None = None

    def begin(self, patience_s: float, gate: _Gate, breaker: _Breaker) -> None:
        self.depth = 1
        self.until = time.monotonic() + patience_s
        self.patience_s = patience_s
        self.heard = self.away = False
        self.gate, self.breaker = gate, breaker

    def end(self) -> None:
        self.depth = 0
        self.patience_s = ANSWER_S
        self.gate = self.breaker = None

    def left_s(self) -> float:
        """Return the seconds until the end of the call; ANSWER_S outside one."""
        return max(0.0, self.until - time.monotonic()) if self.depth else ANSWER_S

    def silence_s(self) -> float:
        """Return the seconds that the store may stay silent now."""
        if self.heard or not self.depth:
            return self.patience_s
        return min(FIRST_ANSWER_S, self.left_s())

    def answered(self) -> None:
        self.heard, self.away = True, False
        if self.breaker is not None:
            self.breaker.close()

    def silent(self) -> None:
        self.away = True


class _Asking:
    """`with asking:` around what waits for the store."""

    def __enter__(self) -> None:
        if call.gate is not None:
            call.gate.count_asking(1)

    def __exit__(self, *_: object) -> None:
        if call.gate is not None:
            call.gate.count_asking(-1)


call = _Call()
asking = _Asking()


class _Breaker:
    """Closed: all pass. Open: it refuses for PAUSE_S, then one call at a time tries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_since: float | None = None
        self._next_try = 0.0

    def check(self) -> None:
        """Let a call pass. Raises StoreUnavailable; otherwise `leave` must follow."""
        if self._open_since is None or call.tries:
            return
        with self._lock:
            if self._open_since is None:
                return
            now = time.monotonic()
            if now < self._next_try:
                raise StoreUnavailable("the database does not answer; it is asked again in a moment")
            self._next_try = now + TRIAL_S
            call.tries = True

    def close(self) -> None:
        """Note that the store answers."""
        if self._open_since is None:
            return
        with self._lock:
            if self._open_since is not None:
                log.info("database back", seconds=round(time.monotonic() - self._open_since, 1))
                self._open_since = None

    def leave(self, *, away: bool) -> None:
        """End a call, or one that never began; what it learned counts for the next ones."""
        tried, call.tries = call.tries, False
        if not away and not tried:
            return
        with self._lock:
            now = time.monotonic()
            self._next_try = now + PAUSE_S if away else now
            if away and self._open_since is None:
                self._open_since = now
                log.warning("database lost")


class _Line:
    """At most `at_once` inside; those who wait come in in the order of arrival, so that none waits for long."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self.inside = 0
        self.waiting: deque[threading.Event] = deque()

    def come_in(self, patience: Callable[[], float]) -> bool:
        """Wait for a place while `patience()` gives seconds; whether there was one. If so, `go` must follow."""
        with self._lock:
            if self.inside < self._at_once:
                self.inside += 1
                return True
            called = threading.Event()
            self.waiting.append(called)
        try:
            while not called.is_set() and (seconds := patience()) > 0:
                called.wait(seconds)
        except BaseException:
            if self._called(called):
                self.go()
            raise
        return self._called(called)

    def _called(self, called: threading.Event) -> bool:
        """Whether it has a place; if not, it waits no more."""
        with self._lock:
            if not called.is_set():
                self.waiting.remove(called)
            return called.is_set()

    def go(self) -> None:
        with self._lock:
            if self.waiting:
                self.waiting.popleft().set()
            else:
                self.inside -= 1


class _Gate:
    """At most `at_once` calls inside."""

    def __init__(self, at_once: int) -> None:
        self.line = _Line(at_once)
        self._lock = threading.Lock()
        self.asking = 0  # of those inside: whom the store owes an answer
        self._moved = 0.0  # when somebody came in, went out, asked or had an answer

    def enter(self, *, patient: bool) -> None:
        """Wait for a place while others make progress, or in any case when it is patient; at most ANSWER_S. Raises StoreUnavailable."""
        end = time.monotonic() + ANSWER_S

        def patience() -> float:
            progress = patient or self.asking < self.line.inside  # some inside work
            return min(STALL_S, (end if progress else min(end, self._moved + STALL_S)) - time.monotonic())

        if not self.line.come_in(patience):
            raise StoreUnavailable(f"{self.line.inside} calls are in the database, and none of them has ended lately")
        self._moved = time.monotonic()

    def leave(self) -> None:
        self._moved = time.monotonic()
        self.line.go()

    def count_asking(self, more: int) -> None:
        with self._lock:
            self.asking += more
            self._moved = time.monotonic()


class Entrance:
    """The way to the store for reads, or for writes. A call inside another one belongs to it: it passes, and has no time of its own."""

    def __init__(self, at_once: int, breaker: _Breaker, turns: _Line | None = None) -> None:
        self._gate = _Gate(at_once)
        self._breaker = breaker
        self._turns = turns  # one call at a time: SQLite's own way of waiting for a lock may leave one out for seconds

    def enter(self, patience_s: float = ANSWER_S, *, patient: bool = False) -> None:
        """Enter. patient: wait for a place even while the store is silent.

        Raises StoreUnavailable; otherwise `leave` must follow in the same thread.
        """
        if call.depth:
            call.depth += 1
            return
        self._breaker.check()
        try:
            self._gate.enter(patient=patient)
        except BaseException:
            self._breaker.leave(away=False)
            raise
        call.begin(patience_s, self._gate, self._breaker)
        try:
            self._breaker.check()  # who was before it at the gate may have found the store away
            if self._turns is not None:
                with asking:
                    called = self._turns.come_in(call.left_s)
                if not called:
                    raise StoreUnavailable("other calls write to the database for too long")
        except BaseException:
            self._end()
            raise

    def leave(self) -> None:
        if call.depth > 1:
            call.depth -= 1
            return
        if self._turns is not None:
            self._turns.go()
        self._end()

    def _end(self) -> None:
        call.end()
        self._breaker.leave(away=call.away)  # before the next one comes in
        self._gate.leave()

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *_: object) -> None:
        self.leave()


class Guard:
    """The entrances of one store."""

    def __init__(self, at_once: int, *, together: bool) -> None:
        """at_once: calls inside at the same time; writers are at most half of them. together: reads and writes go away together, and
        writers write together.
        """
        writers = max(1, at_once // 2)
        breaker = _Breaker()
        self.writes = Entrance(writers, breaker, None if together else _Line(1))
        self.reads = Entrance(max(1, at_once - writers), breaker if together else _Breaker())


class Guarded(AbstractContextManager[T]):
    """What `opened` gives, from entering to leaving within an entrance."""

    __slots__ = ("_entrance", "_inner", "_opened", "_patient")

    def __init__(self, entrance: Entrance, opened: Callable[[], AbstractContextManager[T]], *, patient: bool = False) -> None:
        self._entrance = entrance
        self._opened = opened
        self._patient = patient

    def __enter__(self) -> T:
        self._entrance.enter(patient=self._patient)
        try:
            self._inner = self._opened()
            return self._inner.__enter__()
        except BaseException:
            self._entrance.leave()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool | None:
        try:
            return self._inner.__exit__(kind, error, trace)
        finally:
            self._entrance.leave()
