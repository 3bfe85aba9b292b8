"""What becomes of the upstream's connection when a request is over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.forwarding.forwarder import Forwarder
from services.gateway.wire.connection import Closed
from services.gateway.wire.heads.responses import parse_response
from services.gateway.wire.sockets import NEVER
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


class _Whole:
    """Has an answer read as a whole."""

    def wants(self, exchange: Any, head: Any) -> bool:
        return True

    def transform(self, exchange: Any, head: Any, body: bytes) -> bytes:
        return body


@pytest.mark.parametrize(("uploading", "done"), [(False, "kept"), (True, "given up")])
def test_an_upstream_that_answers_an_unfinished_upload_is_not_asked_again(uploading: bool, done: str) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    ours: Any = SimpleNamespace(buffer=answer, sink=None, source=None, pace=None, deadline=NEVER)
    ours.break_pipe = ours.notice_end = lambda: None
    ours.take = lambda size: setattr(ours, "buffer", ours.buffer[size:])
    sent: list[bytes] = []
    client: Any = SimpleNamespace(write=sent.append, sink=ours if uploading else None, source=None, break_pipe=lambda: None)

    async def send(*_: Any) -> Any:
        return ours, parse_response(answer)

    upstreams = Upstreams()
    forwarder: Any = Forwarder.__new__(Forwarder)
    forwarder._upstreams, forwarder._requests, forwarder.stopping = upstreams, SimpleNamespace(send=send), False
    forwarder._largest_answer, forwarder.bodies = 100, SimpleNamespace(room=None)
    asked = exchange("POST", body_length=9)
    asked.answer_transforms = (_Whole(),)
    api: Any = SimpleNamespace(timeouts=None, answer_stages=())
    status, close = asyncio.run(forwarder.forward(client, asked, api, old=False, close=False))
    assert (status, close, upstreams.done) == (200, uploading, [done])
    assert sent[0].endswith(b"\r\n\r\n{}")


def test_a_client_that_goes_away_says_nothing_of_the_upstream() -> None:
    upstreams = Upstreams()

    def gone(data: bytes) -> None:
        raise Closed

    with pytest.raises(Closed):
        forward(b"HTTP/1.1 200 OK\r\n", gone, upstreams)
    assert upstreams.done == ["given up"]
