"""Runs a coroutine straight from the callbacks of its sockets.

An asyncio task is woken through a future, the loop's queue and the next turn of the loop: that is more work than parsing a head. A
`Driver` goes on with its coroutine in the very callback that brought what it waits for. Whatever else a coroutine awaits (futures, tasks)
it awaits as ever, and a `Signal` can be awaited by an asyncio task, too.

There is no current task inside a driven coroutine: what asks for one (`asyncio.timeout`) belongs in a task that the coroutine awaits.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Signal:
    """Something that happens repeatedly, awaited by one coroutine at a time. A `set` that nobody awaits is lost."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_loop", "driver")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Signal], object] | None = None
        self._context: contextvars.Context | None = None
        self._cancelled = False
        self.driver: Driver | None = None

    @property
    def awaited(self) -> bool:
        return self.driver is not None or self._callback is not None

    def set(self) -> None:
        """Wake the coroutine that waits; a driven one runs before this returns."""
        driver = self.driver
        if driver is not None:
            self.driver = None
            driver.step()
        elif self._callback is not None:
            self._wake_task()

    def __await__(self) -> Generator[Signal, None, None]:
        self._asyncio_future_blocking = True
        yield self

    # What a task asks of a future that it waits for (asyncio.Future's protocol).

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, callback: Callable[[Signal], object], *, context: contextvars.Context | None = None) -> None:
        self._callback, self._context, self._cancelled = callback, context, False

    def cancel(self, msg: Any = None) -> bool:
        if self._callback is None:
            return False
        self._cancelled = True
        self._wake_task()
        return True

    def result(self) -> None:
        if self._cancelled:
            raise asyncio.CancelledError

    def _wake_task(self) -> None:
        callback, self._callback = self._callback, None
        assert callback is not None
        self._loop.call_soon(callback, self, context=self._context)


class Driver:
    """Drives one coroutine. `step` begins it; afterwards only what the coroutine waits for may call it."""

    __slots__ = ("_awaited", "_cancelled", "_coroutine", "_loop", "_resting", "_running")

    def __init__(self, coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._awaited: Any = None
        self._cancelled = False
        self._resting = False
        self._running = False

    def step(self) -> None:
        """Go on until the coroutine waits again, or ends. What it raises is raised here."""
        self._awaited = None
        self._running = True
        try:
            awaited = self._coroutine.send(None)
        except StopIteration:
            return
        finally:
            self._running = False
        if awaited.__class__ is Signal:  # as `_wait_for`, written out: 0.05 µs a wait, and nearly all are for one
            awaited.driver = self
            self._awaited = awaited
        else:
            self._wait_for(awaited)

    def cancel(self) -> None:
        """Raise CancelledError where the coroutine waits; where it runs, at its next wait. Nothing when it has ended."""
        awaited = self._awaited
        if awaited is None:
            if self._resting:
                self._cancelled = True
            elif self._running:
                self._loop.call_soon(self.cancel)
        elif awaited.__class__ is Signal:
            awaited.driver = None
            self._throw()
        elif not awaited.cancel():
            self._cancelled = True  # it is done, and its callback is about to run

    def _throw(self) -> None:
        self._awaited = None
        self._cancelled = False
        self._running = True
        try:
            awaited = self._coroutine.throw(asyncio.CancelledError())
        except (StopIteration, asyncio.CancelledError):
            return
        finally:
            self._running = False
        self._wait_for(awaited)

    def _wait_for(self, awaited: Any) -> None:
        if awaited is None:  # asyncio.sleep(0)
            self._resting = True
            self._loop.call_soon(self._rested)
            return
        if isinstance(awaited, Signal):
            awaited.driver = self
            self._awaited = awaited
            return
        awaited._asyncio_future_blocking = False
        self._awaited = awaited
        awaited.add_done_callback(self._done)

    def _rested(self) -> None:
        self._resting = False
        self._done(None)

    def _done(self, future: Any) -> None:
        if self._cancelled:
            self._throw()
        else:
            self.step()
