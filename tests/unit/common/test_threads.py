"""Calls in a thread of their own."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import pytest

from services.common.threads import call_in_thread


def test_its_result_and_what_it_raises() -> None:
    assert call_in_thread(lambda a, b: (a, b, threading.current_thread().daemon), 1, 2).result(10) == (1, 2, True)
    with pytest.raises(ZeroDivisionError):
        call_in_thread(lambda: 1 // 0).result(10)


def test_the_thread_has_the_name_of_the_call() -> None:
    def work() -> str:
        return threading.current_thread().name

    assert call_in_thread(work).result(10).endswith("work")
    assert call_in_thread(work, name="connecting").result(10) == "connecting"


def test_a_result_that_nobody_wants_any_more_is_handed_on() -> None:
    gate = threading.Event()
    unwanted: SimpleQueue[str] = SimpleQueue()

    def work() -> str:
        gate.wait(10)
        return "late"

    future = call_in_thread(work, unwanted=unwanted.put)
    assert future.cancel()
    gate.set()
    assert unwanted.get(timeout=10) == "late"
