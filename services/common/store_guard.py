"""Bound what a store that does not answer may cost: the time of a call, and the threads that wait.

* Every thread knows the **call** it is in: until when it may wait for the store. The drivers ask it (`postgresql.py`, `core_database.py`).
* A **gate** lets a number of calls in at the same time. Who cannot get in waits while others come out, and is refused when nobody does.
* A **breaker** refuses at once for a moment after a call has found the store away; then one call at a time tries. The first success
  closes it.

A gate and a breaker for reads, others for writes: a lock that somebody holds keeps writers waiting and no reader. Where the whole store
goes away at once (PostgreSQL), reads and writes share the breaker.
"""

from __future__ import annotations

import math
import threading
import time
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
STALL_S = 0.3  # a gate that is full and that nobody has passed for so long refuses
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

    def begin(self, patience_s: float) -> None:
        self.depth = 1
        self.until = time.monotonic() + patience_s
        self.patience_s = patience_s
        self.heard = self.away = False

    def end(self) -> None:
        self.depth = 0
        self.patience_s = ANSWER_S

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

    def silent(self) -> None:
        self.away = True


call = _Call()


class _Breaker:
    """Closed: all pass. Open: it refuses for PAUSE_S, then one call at a time tries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_since: float | None = None
        self._until = 0.0
        self._tried = False

    def check(self) -> None:
        """Raises StoreUnavailable. Without an error, `leave` must follow."""
        if self._open_since is None:
            return
        with self._lock:
            if self._open_since is None:
                return
            if self._tried or time.monotonic() < self._until:
                raise StoreUnavailable("the database does not answer; it is asked again in a moment")
            self._tried = call.tries = True

    def give_up(self) -> None:
        """The call ends without having asked the store."""
        if call.tries:
            self._tried = call.tries = False

    def leave(self) -> None:
        """The call ends; what it learned counts for the next ones."""
        if not call.away and self._open_since is None:
            return
        with self._lock:
            self.give_up()
            now = time.monotonic()
            if call.away:
                self._until = now + PAUSE_S
                if self._open_since is None:
                    self._open_since = now
                    log.warning("database does not answer")
            elif call.heard and self._open_since is not None:
                log.info("database answers again", seconds=round(now - self._open_since, 1))
                self._open_since = None


class _Gate:
    """At most `at_once` calls inside."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._inside = 0
        self._waiting = 0
        self._moved = 0.0  # when somebody came in or went out
        self._left = threading.Condition(threading.Lock())

    def enter(self) -> None:
        """Waits while others come out, at most ANSWER_S. Raises StoreUnavailable."""
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
                patience = min(end, self._moved + STALL_S) - time.monotonic()
                if patience <= 0:
                    raise StoreUnavailable(f"{self._inside} calls wait for the database, and none of them was answered lately")
                self._left.wait(patience)
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        with self._left:
            self._inside -= 1
            self._moved = time.monotonic()
            if self._waiting:
                self._left.notify()


class Entrance:
    """The way to the store for reads, or for writes. A call inside another one belongs to it: it passes, and has no time of its own."""

    def __init__(self, at_once: int, breaker: _Breaker) -> None:
        self._gate = _Gate(at_once)
        self._breaker = breaker

    def enter(self, patience_s: float = ANSWER_S) -> None:
        """Raises StoreUnavailable; otherwise `leave` must follow in the same thread."""
        if call.depth:
            call.depth += 1
            return
        self._breaker.check()
        try:
            self._gate.enter()
        except BaseException:
            self._breaker.give_up()
            raise
        call.begin(patience_s)

    def leave(self) -> None:
        if call.depth > 1:
            call.depth -= 1
            return
        call.end()
        self._gate.leave()
        self._breaker.leave()

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *_: object) -> None:
        self.leave()


class Guard:
    """The entrances of one store."""

    def __init__(self, at_once: int, *, together: bool) -> None:
        """at_once: calls inside at the same time; writers are at most half of them. together: reads and writes go away together."""
        writers = max(1, at_once // 2)
        breaker = _Breaker()
        self.writes = Entrance(writers, breaker)
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
