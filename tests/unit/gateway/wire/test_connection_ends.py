"""A connection whose other end takes nothing is given up; one that takes a little has its time anew."""

from __future__ import annotations

import asyncio
from typing import Any

from services.gateway.wire.connection import SWEEP, Connection, Sockets


class Transport(asyncio.Transport):
    """What a socket with a full buffer looks like. waiting: bytes that were not sent yet."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 1000
        self.closing = False
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = True


def blocked(loop: Any) -> tuple[Sockets, Connection, Transport]:
    sockets = Sockets(loop)
    connection, transport = Connection(sockets), Transport()
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
