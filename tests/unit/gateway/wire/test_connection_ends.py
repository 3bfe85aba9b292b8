"""A connection whose other end takes nothing is given up; one that takes a little has all its time again."""

from __future__ import annotations

import asyncio
from typing import Any

from services.gateway.wire.bodies import LengthBody
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.sockets import SWEEP, Sockets
from services.gateway.wire.upstream_connection import UpstreamConnection


class Transport(asyncio.Transport):
    """What a socket with a full buffer looks like. waiting: bytes that were not sent yet."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 1000
        self.closing = False
        self.aborted = False

    def pause_reading(self) -> None:
        pass

    def write(self, data: Any) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = True


async def nothing(connection: ClientConnection) -> None:
    """No answer: the test drives the connection itself."""
    connection.driver = None


def blocked(loop: Any) -> tuple[Sockets, ClientConnection, Transport]:
    sockets = Sockets(loop)
    connection, transport = ClientConnection(sockets, nothing), Transport()
    connection.connection_made(transport)
    connection.pause_writing()
    return sockets, connection, transport


class Clock:
    """As much of a loop as `Sockets` needs; `after` moves the time on and sweeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def time(self) -> float:
        return self.seconds

    def create_future(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    def after(self, seconds: float, sockets: Sockets) -> None:
        self.seconds += seconds + 2 * SWEEP
        sockets.sweep()


def test_a_closed_connection_that_cannot_be_emptied_is_aborted() -> None:
    clock = Clock()
    sockets, connection, transport = blocked(clock)
    connection.close()
    assert not transport.aborted
    transport.waiting -= 1
    clock.after(connection.idle_timeout, sockets)
    assert not transport.aborted
    clock.after(connection.idle_timeout, sockets)
    assert transport.aborted


async def _answer_that_is_not_taken() -> None:
    clock = Clock()
    sockets, connection, transport = blocked(clock)
    waiting = asyncio.create_task(connection.drained())
    await asyncio.sleep(0)
    transport.waiting -= 1
    clock.after(connection.idle_timeout, sockets)
    assert not transport.aborted
    clock.after(connection.idle_timeout, sockets)
    assert transport.aborted
    connection.connection_lost(None)
    await waiting


def test_a_client_that_takes_no_answer_is_given_up() -> None:
    asyncio.run(_answer_that_is_not_taken())


async def _answer_that_is_taken_slowly_by_one_who_asks_on() -> None:
    clock = Clock()
    sockets, connection, transport = blocked(clock)
    waiting = asyncio.create_task(connection.drained())
    await asyncio.sleep(0)
    connection.data_received(b"GET /next")
    assert connection.paused
    transport.waiting -= 1
    clock.after(connection.idle_timeout, sockets)
    assert not transport.aborted
    clock.after(connection.idle_timeout, sockets)
    assert transport.aborted
    connection.connection_lost(None)
    await waiting


def test_a_client_that_sends_its_next_request_meanwhile_still_has_its_time() -> None:
    asyncio.run(_answer_that_is_taken_slowly_by_one_who_asks_on())


async def _interim_answers_that_are_not_taken() -> None:
    clock = Clock()
    sockets, client, transport = blocked(clock)
    upstream = UpstreamConnection(sockets)
    upstream.connection_made(Transport())
    client.start_pipe(upstream, LengthBody(3))
    waiting = asyncio.create_task(client.drained())
    await asyncio.sleep(0)
    client.data_received(b"abc")
    assert client.sink is None
    for _ in range(3):
        clock.after(client.idle_timeout, sockets)
    assert transport.aborted
    client.connection_lost(None)
    await waiting


def test_a_client_whose_upload_ends_while_it_takes_nothing_is_given_up() -> None:
    asyncio.run(_interim_answers_that_are_not_taken())
