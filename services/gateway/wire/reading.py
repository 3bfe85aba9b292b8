"""Reading a head, or a body as a whole, from a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from services.gateway.wire.bodies import Body, BodyTooLarge, Budget, ChunkedBody, LengthBody
from services.gateway.wire.connection import Closed, Connection
from services.gateway.wire.heads.grammar import LARGEST_HEAD, Incomplete
from services.gateway.wire.heads.requests import LONGEST_TARGET
from services.gateway.wire.pace import Limits
from services.gateway.wire.sockets import NEVER

T = TypeVar("T")

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


async def read_head(connection: Connection, parse: Callable[[bytes], T], timeout: float = NEVER) -> T:
    """Wait for the next head and parse it; it stays in the buffer. timeout: seconds it may take once it has begun.

    Raises Closed, TimedOut, and what `parse` raises besides Incomplete.
    """
    begun = False
    while True:
        if connection.broken:
            connection.raise_fault()
        if not connection.buffer:
            await connection.more()
            continue
        try:
            return parse(connection.buffer)
        except Incomplete:
            pass
        if not begun and timeout != NEVER:
            begun = True
            connection.idle = False
            connection.deadline = connection.sockets.now + timeout
        await _rest_of_head(connection)


async def _rest_of_head(connection: Connection) -> None:
    """Wait until the buffer may hold a whole head: looking again at every byte would make slow senders expensive."""
    while True:
        scanned = max(0, len(connection.buffer) - 3)
        await connection.more()
        data = connection.buffer
        if len(data) > LARGEST_HEAD or data.find(b"\n\r\n", scanned) >= 0 or data.find(b"\n\n", scanned) >= 0:
            return
        if len(data) > LONGEST_TARGET and b"\n" not in data:
            return


def body_of(length: int, most: int) -> Body:
    """Return the body of a request, to be read as a whole. length: bytes, -1 = chunked; most: bytes it may have. Raises BodyTooLarge."""
    if length > most:
        raise BodyTooLarge
    return ChunkedBody(False, most) if length < 0 else LengthBody(length)


async def read_whole(
    connection: Connection, body: Body, limits: Limits | None = None, budget: Budget | None = None, *, expects: bool = False
) -> list[bytes]:
    """Read a whole body, as pieces: the caller may join megabytes off the loop.

    limits: how long it may take, None = each piece the idle time of the connection; what is here already has no time. budget: what the
    pieces are taken from, None = the body itself is small. expects: the sender may wait for leave to send it.
    Raises Closed, TimedOut, BadBody, BodyTooLarge; then it gives back what it took of the budget.
    """
    connection.body = body
    if expects and not connection.buffer and not body.done:
        connection.write(CONTINUE)
    pieces: list[bytes] = []
    size = held = 0
    try:
        while not body.done:
            if not connection.buffer:
                if limits is not None:
                    connection.limit_body(limits, size)
                    limits = None
                connection.await_piece()
                try:
                    await connection.more()
                except Closed:
                    last = body.ended_by_close()
                    if last is None:
                        raise
                    break
            data = connection.buffer
            connection.buffer = b""
            piece, connection.buffer = body.feed(data)
            if budget is not None:
                if not budget.spend(len(piece)):
                    raise BodyTooLarge
                held += len(piece)
            pieces.append(piece)
            taken = len(data) - len(connection.buffer)
            size += taken
            if connection.pace is not None:
                connection.pace.deadline(connection.sockets.now, taken)
            if connection.buffer and not body.done:
                await asyncio.sleep(0)
    except BaseException:
        if budget is not None:
            budget.give_back(held)
        raise
    finally:
        connection.pace = None
    connection.deadline = NEVER
    connection.notice_end()
    return pieces
