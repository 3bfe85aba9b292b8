"""Connects to a host whose name may have several addresses: replicas of a service, IPv6 and IPv4.

An address that refuses, or says nothing for a moment, does not keep the request: the next one is tried beside it, and the first that
answers is taken (RFC 8305, 5). uvloop alone tries one after the other, and an address that says nothing uses up the whole time limit.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

# Seconds that an address has before the next one is tried beside it (RFC 8305, 8).
HEAD_START: Final = 0.25


async def connect(loop: asyncio.AbstractEventLoop, create: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> Any:
    """Return the transport of a new connection, whose protocol `create` makes. Raises OSError."""
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # without waiting when the host is an address
    if len(found) == 1:
        transport, _ = await loop.create_connection(create, str(found[0][4][0]), port)
        return transport
    reached = await _first(loop, [(family, address) for family, _, _, _, address in found])
    try:
        transport, _ = await loop.create_connection(create, sock=reached)
    except BaseException:
        reached.close()
        raise
    return transport


async def _first(loop: asyncio.AbstractEventLoop, addresses: list[tuple[int, Any]]) -> socket.socket:
    """Return a socket that is connected to the first of the addresses that answers. Raises what the last one failed with."""
    failure: BaseException = OSError("the name has no address")
    attempts: set[asyncio.Task[socket.socket]] = set()
    waiting = iter(addresses)
    try:
        while True:
            if (to := next(waiting, None)) is not None:
                attempts.add(loop.create_task(_reach(loop, *to)))
            elif not attempts:
                raise failure
            done, _ = await asyncio.wait(attempts, timeout=HEAD_START if to is not None else None, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                attempts.remove(attempt)
                error = attempt.exception()
                if error is None:
                    return attempt.result()
                failure = error
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_close_unwanted)


async def _reach(loop: asyncio.AbstractEventLoop, family: int, address: Any) -> socket.socket:
    reached = socket.socket(family, socket.SOCK_STREAM)
    try:
        reached.setblocking(False)
        await loop.sock_connect(reached, address)
    except BaseException:
        reached.close()
        raise
    return reached


def _close_unwanted(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
