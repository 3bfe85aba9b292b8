"""A worker that stops waits for handshakes under way, but not for clients that connect and say nothing; its successor counts at once."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from services.common.stopping import ENDING
from services.gateway.counters.turn import Turn
from services.gateway.wire.sockets import Sockets
from services.gateway.worker import GatewayWorker


class Counters:
    """handed: what happened in which order."""

    def __init__(self, handed: list[str], until: asyncio.Event | None = None) -> None:
        self._handed = handed
        self._until = until

    async def hand_over(self) -> None:
        if self._until is not None:
            await self._until.wait()
        self._handed.append("windows")


def drained(
    handshakes: Any, meanwhile: Any, handed: list[str] | None = None, turn: Any = None, until: asyncio.Event | None = None
) -> float:
    """How long a stop takes in which no connection is open. meanwhile: called a moment after it has begun."""

    async def work() -> float:
        loop = asyncio.get_running_loop()
        worker: Any = SimpleNamespace(
            cfg=SimpleNamespace(graceful_timeout=60),
            sockets=[],
            notify=lambda: None,
            _tend=lambda *_: None,
            _hand_over=GatewayWorker._hand_over,
        )
        gateway: Any = SimpleNamespace(counters=Counters([] if handed is None else handed, until))
        door: Any = SimpleNamespace(open=set(), begin_stop=lambda: None, close_idle=lambda: None)
        began = loop.time()
        loop.call_later(0.2, meanwhile)
        await GatewayWorker._drain(worker, Sockets(loop), gateway, door, door, [], handshakes, turn)
        return loop.time() - began

    return asyncio.run(work())


def test_a_handshake_under_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.worker._GRACE_OF_IDLE", 30.0)
    handshakes = SimpleNamespace(under_way=1)
    ended: list[bool] = []

    def end() -> None:
        handshakes.under_way = 0
        ended.append(True)

    drained(handshakes, end)
    assert ended


@pytest.mark.slow
def test_a_client_that_says_nothing_is_not() -> None:
    assert drained(SimpleNamespace(under_way=1), lambda: None) < 30


def test_the_windows_are_handed_over_before_the_successor_counts() -> None:
    handed: list[str] = []
    until = asyncio.Event()
    turn = SimpleNamespace(give=lambda: handed.append("turn"))
    drained(None, until.set, handed, turn, until)
    assert handed == ["windows", "turn"]


def test_a_worker_that_was_told_to_stop_says_so_and_is_watched_on() -> None:
    """To its master, through the file by whose times the master knows that it lives."""
    worker = GatewayWorker(7, os.getpid(), [], None, 15, Config(), None)
    try:
        assert (worker.leaving, worker.age) == (False, 7)
        worker.handle_exit(signal.SIGTERM, None)
        assert (worker.alive, worker.leaving, worker.age) == (False, True, math.inf)
        assert abs(time.monotonic() - worker.tmp.last_update()) < 60
    finally:
        worker.tmp.close()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[GatewayWorker]:
    """As its master creates it. The signals' handlers and those that wait are as before afterwards."""
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}}
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    worker = GatewayWorker(7, 0, [], None, 15, Config(), None)
    yield worker
    worker.tmp.close()
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        if handler is not None:
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, waiting)


def test_a_full_disk_does_not_end_a_worker_that_is_told_to_stop(worker: GatewayWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    worker.handle_exit(signal.SIGTERM, None)
    assert worker.leaving


def test_a_worker_that_has_ended_hears_no_more(worker: GatewayWorker) -> None:
    worker.tmp.close()
    worker.handle_exit(signal.SIGTERM, None)
    assert not worker.alive


def test_a_signal_that_comes_before_its_handlers_waits_for_them(worker: GatewayWorker) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # as the master does before the fork
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    assert worker.alive
    worker.PIPE = os.pipe()
    for end in worker.PIPE:
        os.set_blocking(end, False)
    worker.init_signals()
    assert not worker.alive
    for end in worker.PIPE:
        os.close(end)


# Another process with the same open file, as a fork has it: says whether it has the turn, and again when it is asked.
_NEXT = """
import fcntl, sys
for _ in sys.stdin:
    try:
        fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("mine", flush=True)
    except OSError:
        print("not mine", flush=True)
"""


@pytest.fixture
def turn() -> Iterator[Turn]:
    turn = Turn()
    yield turn
    turn._file.close()


def test_a_turn_is_one_process_s_until_it_gives_it_or_dies(turn: Turn) -> None:
    file = turn._file.fileno()
    command = [sys.executable, "-S", "-c", _NEXT, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[file]) as other:

        def asked() -> str:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdin.write("\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        assert turn.take()
        assert asked() == "not mine"
        turn.give()
        assert asked() == "mine"
        assert not turn.take()
        other.kill()
        other.wait()
        assert asyncio.run(turn.wait())


def test_a_worker_that_hangs_is_not_waited_for(turn: Turn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.counters.turn.PATIENCE_S", 0.02)
    monkeypatch.setattr(turn, "take", lambda: False)
    assert asyncio.run(turn.wait()) is False
