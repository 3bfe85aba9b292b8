"""What becomes of the upstream's connection when a request is over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.forwarding.forwarder import Forwarder
from services.gateway.wire.connection import Closed
from services.gateway.wire.heads.responses import parse_response
from tests.unit.gateway.exchanges import exchange


class Upstreams:
    """Notes what is done with a connection."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def give(self, connection: Any) -> None:
        self.done.append("kept")

    def end(self, connection: Any, *, told: bool) -> None:
        self.done.append("told to end" if told else "given up")


def forward(head: bytes, write: Any, upstreams: Any) -> None:
    """Forward a request whose answer has this head. write: takes what the client is sent."""
    whole = head + b"Content-Length: 2\r\n\r\n{}"
    upstream = SimpleNamespace(buffer=whole, sink=None, source=None)
    client: Any = SimpleNamespace(write=write, sink=None, source=None)

    async def send(*_: Any) -> Any:
        return upstream, parse_response(whole)

    forwarder: Any = Forwarder.__new__(Forwarder)
    forwarder._upstreams, forwarder._requests, forwarder.stopping = upstreams, SimpleNamespace(send=send), False
    api: Any = SimpleNamespace(timeouts=None, answer_stages=())
    asyncio.run(forwarder.forward(client, exchange(), api, old=False, close=False))


@pytest.mark.parametrize(
    ("head", "done"),
    [
        (b"HTTP/1.1 200 OK\r\n", "kept"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", "told to end"),
        (b"HTTP/1.0 200 OK\r\n", "told to end"),
    ],
)
def test_the_answer_says_whether_the_connection_is_kept(head: bytes, done: str) -> None:
    upstreams = Upstreams()
    forward(head, lambda data: None, upstreams)
    assert upstreams.done == [done]


def test_a_client_that_goes_away_says_nothing_of_the_upstream() -> None:
    upstreams = Upstreams()

    def gone(data: bytes) -> None:
        raise Closed

    with pytest.raises(Closed):
        forward(b"HTTP/1.1 200 OK\r\n", gone, upstreams)
    assert upstreams.done == ["given up"]
