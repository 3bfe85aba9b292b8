"""Daemon threads for calls that may wait: one that hangs holds up neither the end of the process nor the calls of other parts.

The standard library's pools are joined when the interpreter ends, and `asyncio.to_thread` has one pool for all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar, TypeVarTuple

from services.common.threads import call_in_thread

R = TypeVar("R")
Arguments = TypeVarTuple("Arguments")

_NICE: Final = 5
_local = threading.local()

_Call = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Threads(Executor):
    """A pool for one purpose, so that its calls hold up no others.

    most: how many threads; each of the first calls starts one. name: begins their names. After `shutdown` it takes no more calls; those
    under way are left to themselves.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0
        self._ended = False

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Give a call to the threads. Raises RuntimeError after `shutdown`."""
        future: Future[R] = Future()
        with self._lock:
            if self._ended:
                raise RuntimeError(f"the threads of {self._name} take no more calls")
            self._calls.put((future, fn, args, kwargs))
            if self._started < self._most:
                self._started += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._started}", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads that have nothing to do. wait: has no meaning, no call is waited for."""
        with self._lock:
            self._ended = True
            with contextlib.suppress(Empty):  # the threads take calls meanwhile
                while cancel_futures:
                    call = self._calls.get_nowait()
                    if call is not None:
                        call[0].cancel()
            for _ in range(self._started):
                self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            _settle(*call)
            del call  # an idle thread keeps nothing of its last call


async def in_thread(work: Callable[[*Arguments], R], *arguments: *Arguments) -> R:
    """Run something once that may hang, in a thread of its own. What it raises is raised here; cancelled, it is left to itself."""
    return await asyncio.wrap_future(call_in_thread(work, *arguments))


def _settle(future: Future[Any], work: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work(*arguments, **named)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def give_way() -> None:
    """Lower the priority of the thread that calls; on Linux alone, elsewhere it would be that of the process."""
    if sys.platform == "linux" and not getattr(_local, "gives_way", False):
        _local.gives_way = True
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
