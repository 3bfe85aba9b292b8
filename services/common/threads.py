"""Calls that may hang, each in a daemon thread of its own, so that it delays neither the end of the process nor other calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar, TypeVarTuple

R = TypeVar("R")
Arguments = TypeVarTuple("Arguments")


def call_in_thread(
    work: Callable[[*Arguments], R], *arguments: *Arguments, name: str | None = None, unwanted: Callable[[R], object] | None = None
) -> Future[R]:
    """Call `work` in a new thread; the Future gets its result, or what it raises.

    A caller that no longer waits cancels the Future: the call goes on alone, and a result that still comes goes to `unwanted`.
    """
    future: Future[R] = Future()

    def run() -> None:
        try:
            result = work(*arguments)
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            return
        if future.set_running_or_notify_cancel():
            future.set_result(result)
        elif unwanted is not None:
            unwanted(result)

    threading.Thread(target=run, name=name or getattr(work, "__qualname__", "call"), daemon=True).start()
    return future
