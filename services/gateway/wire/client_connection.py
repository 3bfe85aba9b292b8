"""A connection to a client: a coroutine answers it, driven by what arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from services.gateway.wire.client_certificates import ClientCertificate
from services.gateway.wire.connection import FULL_READ, Connection
from services.gateway.wire.driving import Driver
from services.gateway.wire.heads.requests import HeaderSection
from services.gateway.wire.sockets import NEVER, SWEEP, Sockets

_LINGER: Final = 2.0


def peer_of(transport: asyncio.BaseTransport) -> str:
    """Return the other end's address; `local` for one without (a Unix socket)."""
    name = transport.get_extra_info("peername")
    return name[0] if isinstance(name, tuple) else "local"


class ClientConnection(Connection):
    """A connection to a client. serve: the coroutine that answers it.

    driver: drives that coroutine, None when it has ended. section: the fields of the last request. sent: bytes written in all. answered: a
    part of an answer has gone out. discarding: the last answer is written, and what still comes is thrown away. client: the address
    that all its requests come from, "" = unknown, or not one for all. memo: what others derived from this connection.
    certificate: what the client has shown in its handshake, None = nothing, or it was not asked for any.
    """

    __slots__ = ("_serve", "answered", "certificate", "client", "discarding", "driver", "memo", "section", "sent")

    def __init__(self, sockets: Sockets, serve: Callable[[ClientConnection], Coroutine[Any, Any, None]]) -> None:
        super().__init__(sockets)
        self._serve = serve
        self.driver: Driver | None = None
        self.section: HeaderSection | None = None
        self.client = ""
        self.memo: Any = None
        self.certificate: ClientCertificate | None = None
        self.sent = 0
        self.answered = self.discarding = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.peer = peer_of(transport)
        self.driver = Driver(self._serve(self), self.sockets.loop)
        self.driver.step()

    def data_received(self, data: bytes) -> None:
        arrived = self.arrived
        driver = arrived.driver
        if driver is not None and self.sink is None:  # a head is waited for
            self.buffer = self.buffer + data if self.buffer else data
            arrived.driver = None  # `arrived.set`, written out: 0.03 µs
            driver.step()
        elif self.sink is not None:
            self._move(data)
        elif self.discarding:
            if len(data) >= FULL_READ:
                self.pause()
                self.sockets.loop.call_soon(self.resume)
        else:
            self.buffer += data
            if arrived.awaited:
                arrived.set()
            else:  # what is under way comes first
                self.pause()

    def connection_lost(self, error: Exception | None) -> None:
        self._lose()
        self._end_moving(error)
        if self.driver is not None:
            self.driver.cancel()
        else:
            self.arrived.set()

    def expired(self) -> None:
        if self.discarding:
            self.transport.abort()
        else:
            super().expired()

    def write(self, data: bytes) -> None:
        if not self.lost:
            self.sent += len(data)
            self.transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has taken enough of what was written."""
        while self.full and not self.lost:
            self._blocked_at = self.transport.get_write_buffer_size()
            self.deadline = self.sockets.now + self.idle_timeout
            self._drained = self.sockets.loop.create_future()
            await self._drained
        if self.sink is None:
            self.deadline = NEVER
        else:
            self.await_piece()

    def linger(self) -> None:
        """Close so that the last answer arrives although the client may still be sending: half first, the rest when it is done."""
        if self.lost or self.discarding:
            return
        self.break_pipe()
        self.discarding = True
        self.buffer = b""
        self.resume()
        self.deadline = self.sockets.now + _LINGER + SWEEP
        if self.transport.can_write_eof():
            self.transport.write_eof()
