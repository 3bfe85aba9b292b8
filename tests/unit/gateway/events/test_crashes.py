"""A worker is killed (SIGKILL) between the outbox and the call, and during the call: what it was told of is delivered all the same."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from services.common.webhooks.courier import LEASE, Courier
from services.gateway.stores.events import Outbox
from tests.support.waiting import wait_until

WORKER = Path(__file__).parent / "worker.py"


@contextmanager
def worker(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, str(WORKER), *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def courier(outbox: Outbox, ahead: float = 0.0) -> Iterator[Courier]:
    """ahead: seconds that have passed since the crash."""
    made = Courier(outbox, lambda _: "", (ip_network("127.0.0.0/8"),), now=lambda: time.time() + ahead, look=0.02)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def test_killed_before_the_call(database_url: str, outbox: Outbox, receiver: Any) -> None:
    with worker(database_url, receiver.url, "hold") as process:
        process.kill()
        process.wait()
    assert receiver.calls == []
    with courier(outbox):
        wait_until(lambda: outbox.page("delivered", 0, 1)[1] == 1)
    assert len(receiver.calls) == 1


def test_killed_during_the_call(database_url: str, outbox: Outbox, receiver: Any) -> None:
    """Nobody repeats the call while the lease lasts; afterwards it goes out again, under the same id."""
    with worker(database_url, f"{receiver.url}/held", "deliver") as process:
        wait_until(lambda: receiver.waiting == 1)
        process.kill()
        process.wait()
    receiver.held.set()
    assert outbox.lease(time.time() + LEASE / 2, 60, 10, {}, 10) == []
    assert outbox.page("pending", 0, 1)[1] == 1
    with courier(outbox, ahead=LEASE + 1):
        wait_until(lambda: outbox.page("delivered", 0, 1)[1] == 1)
    assert len(receiver.calls) == 2
    assert len(set(receiver.ids())) == 1
