"""A request that was sent at once leaves no connection behind when something fails on the way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.exchange import Reply, Timeouts
from services.gateway.forwarding.upstream_requests import UpstreamRequests
from services.gateway.front_door import FrontDoor
from services.gateway.wire.driving import Signal
from services.gateway.wire.pace import Limits
from tests.unit.gateway.exchanges import exchange

BODY_LIMITS = Limits(1, 1, 1)


class Upstream:
    """A connection that waited. arrived: what is awaited of it."""

    def __init__(self, arrived: Any = None) -> None:
        self.arrived = arrived
        self.absolute = None
        self.buffer = b""
        self.broken = self.paused = self.closed = False
        self.peer = "up.example:80"

    def write(self, data: bytes) -> None:
        raise AssertionError("there is nothing to write")

    def close(self) -> None:
        self.closed = True


def fails(*_: Any) -> Any:
    raise ArithmeticError


def test_a_head_that_cannot_be_written() -> None:
    upstream = Upstream()
    upstreams: Any = SimpleNamespace(take=lambda origin: upstream)
    heads: Any = SimpleNamespace(write=fails)
    api: Any = SimpleNamespace(routes=None, targets=(SimpleNamespace(origin=None),), timeouts=Timeouts(1, 1, 1))
    client: Any = SimpleNamespace()
    requests = UpstreamRequests(upstreams, heads, BODY_LIMITS)
    with pytest.raises(ArithmeticError):
        requests.send_at_once(client, exchange(), api)
    assert upstream.closed


def test_an_answer_that_a_stage_fails_on() -> None:
    async def answered() -> Upstream:
        upstream = Upstream(Signal(asyncio.get_running_loop()))
        door: Any = FrontDoor.__new__(FrontDoor)
        door.stopping = False
        door._judge = SimpleNamespace(decide=lambda exchange: None, refused=lambda exchange, refusal: Reply(refusal.kind.status, []))
        door._forwarder = SimpleNamespace(send_at_once=lambda *_: upstream, pass_on=fails)
        door._tallies = SimpleNamespace(answered=lambda *_: None)
        asked = exchange()
        asked.api = SimpleNamespace(batch=False)  # type: ignore[assignment]
        written: list[bytes] = []
        client: Any = SimpleNamespace(sent=0, body=None, answered=False, write=written.append, linger=lambda: None)
        asyncio.get_running_loop().call_soon(upstream.arrived.set)
        assert await door._answer(client, asked, False, False)
        assert b" 500 " in written[0]
        return upstream

    assert asyncio.run(answered()).closed
