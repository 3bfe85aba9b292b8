"""Threads for what may wait: so many and no more, and nothing waits for those that hang."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from queue import SimpleQueue
from typing import Any

import pytest

from services.gateway.threads import Threads, in_thread
from tests.support.processes import ROOT


def test_so_many_calls_are_made_at_once_and_the_rest_wait() -> None:
    threads = Threads(2, "test")
    gate, inside = threading.Event(), threading.Semaphore(0)

    def call(number: int) -> int:
        inside.release()
        gate.wait(30)
        return number

    futures = [threads.submit(call, number) for number in range(5)]
    assert inside.acquire(timeout=30) and inside.acquire(timeout=30)
    assert not inside.acquire(timeout=0.05)
    gate.set()
    assert [future.result(30) for future in futures] == list(range(5))
    assert sum(thread.name.startswith("test-") for thread in threading.enumerate()) == 2
    threads.shutdown()


def test_what_a_call_raises_is_raised_to_who_waits_and_the_thread_goes_on() -> None:
    threads = Threads(1, "test")
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(30)
    assert threads.submit(lambda: 7).result(30) == 7
    threads.shutdown()


def test_a_shutdown_cancels_what_waits_and_leaves_what_hangs() -> None:
    threads = Threads(1, "test")
    gate, begun = threading.Event(), threading.Event()
    hanging = threads.submit(lambda: begun.set() or gate.wait(30))
    waiting = threads.submit(lambda: 7)
    assert begun.wait(30)
    threads.shutdown(cancel_futures=True)
    assert waiting.cancelled()
    with pytest.raises(RuntimeError):
        threads.submit(lambda: 7)
    gate.set()
    hanging.result(30)


def test_a_shutdown_does_not_wait_for_a_call_that_a_thread_has_just_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class TakenMeanwhile(SimpleQueue[Any]):
        def empty(self) -> bool:
            return False

    threads = Threads(1, "test")
    monkeypatch.setattr(threads, "_calls", TakenMeanwhile())
    ending = threading.Thread(target=threads.shutdown, kwargs={"cancel_futures": True}, daemon=True)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()


def test_a_call_in_a_thread_of_its_own() -> None:
    async def work() -> None:
        assert await in_thread(lambda a, b: (a, b, threading.current_thread().daemon), 1, 2) == (1, 2, True)
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0)
        gate = threading.Event()
        hanging = asyncio.ensure_future(in_thread(gate.wait, 30))
        await asyncio.sleep(0)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        gate.set()

    asyncio.run(work())


def test_no_thread_that_hangs_holds_up_the_end_of_the_process() -> None:
    program = (
        "import asyncio, time\n"
        "from services.gateway.threads import Threads, in_thread\n"
        "async def work():\n"
        "    asyncio.get_running_loop().run_in_executor(Threads(1, 'a'), time.sleep, 600)\n"
        "    await asyncio.wait({asyncio.ensure_future(in_thread(time.sleep, 600))}, timeout=0.05)\n"
        "loop = asyncio.new_event_loop()\n"
        "loop.run_until_complete(work())\n"
        "loop.close()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr
