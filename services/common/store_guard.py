"""Bound what a store that does not answer may cost: the time of a call, and the threads that wait.

* Every thread knows the **call** it is in: until when it may wait for the store. The drivers ask it (`postgresql.py`, `core_database.py`),
  and say when they ask the store and when it answers.
* A **gate** lets a number of calls in at the same time. Who cannot get in waits while the others work or are answered, and is refused when
  all of them ask the store and none is answered.
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
STALL_S = 0.3  # a gate that is full, while nobody inside was answered for so long, refuses
TRIAL_S = ANSWER_S + 1.0  # another call may try when the one that tries has not come back
LONG_WORK_S = 60.0  # for work that is known to take long: a whole table
PAUSE_S = 0.5  # how long a breaker refuses before a call tries again


class StoreUnavailable(SQLAlchemyError):
    """The call was refused without asking the store, because others wait for it in vain."""


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
        """Seconds until the end of the call; ANSWER_S outside one."""
        return max(0.0, self.until - time.monotonic()) if self.depth else ANSWER_S

    def silence_s(self) -> float:
        """Seconds that the store may stay silent now."""
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
        """Raises StoreUnavailable. Without an error, `leave` must follow."""
        if self._open_since is None:
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
        """The store answers."""
        if self._open_since is None:
            return
        with self._lock:
            if self._open_since is not None:
                log.info("database answers again", seconds=round(time.monotonic() - self._open_since, 1))
                self._open_since = None

    def leave(self, *, away: bool) -> None:
        """The call ends, or never began; what it learned counts for the next ones."""
        tried, call.tries = call.tries, False
        if not away and not tried:
            return
        with self._lock:
            now = time.monotonic()
            self._next_try = now + PAUSE_S if away else now
            if away and self._open_since is None:
                self._open_since = now
                log.warning("database does not answer")


class _Gate:
    """At most `at_once` calls inside."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._inside = 0
        self._asking = 0  # of those inside: whom the store owes an answer
        self._waiting = 0
        self._moved = 0.0  # when somebody came in, went out, asked or had an answer
        self._left = threading.Condition(threading.Lock())

    def enter(self) -> None:
        """Waits while there is hope, at most ANSWER_S. Raises StoreUnavailable."""
        with self._left:
            if self._inside >= self._at_once:
                self._wait()
            self._inside += 1
            self._moved = time.monotonic()

    def _wait(self) -> None:
        end = time.monotonic() + ANSWER_S
        self._waiting += 1
        try:
            while self._inside >= self._at_once:
                working = self._asking < self._inside
                patience = (end if working else min(end, self._moved + STALL_S)) - time.monotonic()
                if patience <= 0:
                    raise StoreUnavailable(f"{self._inside} calls are in the database, and none of them has ended lately")
                self._left.wait(min(patience, STALL_S))
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        with self._left:
            self._inside -= 1
            self._moved = time.monotonic()
            if self._waiting:
                self._left.notify()

    def count_asking(self, more: int) -> None:
        with self._left:
            self._asking += more
            self._moved = time.monotonic()


class _Turns:
    """One call at a time, in the order of arrival: SQLite's own way of waiting for a lock may leave one out for seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    def take(self) -> None:
        """Raises StoreUnavailable when the call's time is over before."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            called = threading.Event()
            self._waiting.append(called)
        with asking:
            called.wait(call.left_s())
        with self._lock:
            if called.is_set():
                return
            self._waiting.remove(called)
        raise StoreUnavailable("other calls write to the database for too long")

    def give_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


class Entrance:
    """The way to the store for reads, or for writes. A call inside another one belongs to it: it passes, and has no time of its own."""

    def __init__(self, at_once: int, breaker: _Breaker, turns: _Turns | None = None) -> None:
        self._gate = _Gate(at_once)
        self._breaker = breaker
        self._turns = turns

    def enter(self, patience_s: float = ANSWER_S) -> None:
        """Raises StoreUnavailable; otherwise `leave` must follow in the same thread."""
        if call.depth:
            call.depth += 1
            return
        self._breaker.check()
        try:
            self._gate.enter()
        except BaseException:
            self._breaker.leave(away=False)
            raise
        call.begin(patience_s, self._gate, self._breaker)
        if self._turns is not None:
            try:
                self._turns.take()
            except BaseException:
                self._end()
                raise

    def leave(self) -> None:
        if call.depth > 1:
            call.depth -= 1
            return
        if self._turns is not None:
            self._turns.give_on()
        self._end()

    def _end(self) -> None:
        call.end()
        self._gate.leave()
        self._breaker.leave(away=call.away)

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
        self.writes = Entrance(writers, breaker, None if together else _Turns())
        self.reads = Entrance(max(1, at_once - writers), breaker if together else _Breaker())


class Guarded(AbstractContextManager[T]):
    """What `opened` gives, from entering to leaving within an entrance."""

    __slots__ = ("_entrance", "_inner", "_opened")

    def __init__(self, entrance: Entrance, opened: Callable[[], AbstractContextManager[T]]) -> None:
        self._entrance = entrance
        self._opened = opened

    def __enter__(self) -> T:
        self._entrance.enter()
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
