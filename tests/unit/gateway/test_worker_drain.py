"""A worker that stops waits for handshakes under way, but not for clients that connect and say nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.wire.connection import Sockets
from services.gateway.worker import GatewayWorker


def drained(handshakes: Any, meanwhile: Any) -> float:
    """How long a stop takes in which no connection is open. meanwhile: called a moment after it has begun."""

    async def work() -> float:
        loop = asyncio.get_running_loop()
        worker: Any = SimpleNamespace(cfg=SimpleNamespace(graceful_timeout=60), notify=lambda: None, _tend=lambda *_: None)
        door: Any = SimpleNamespace(open=set(), begin_stop=lambda: None, close_idle=lambda: None)
        began = loop.time()
        loop.call_later(0.2, meanwhile)
        await GatewayWorker._drain(worker, Sockets(loop), SimpleNamespace(), door, door, [], handshakes)  # type: ignore[arg-type]
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


def test_a_client_that_says_nothing_is_not() -> None:
    assert drained(SimpleNamespace(under_way=1), lambda: None) < 30
