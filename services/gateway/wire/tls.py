"""TLS on a socket, either side: the handshake, then a transport that loses nothing at its end.

uvloop's own TLS transport cuts messages short in two places. While its reading is paused it reads the socket on, and drops what is not
decrypted yet when the other end closes: the tail of an answer whose client is slow. And 30 seconds after `close` it drops what the other
end has not taken. So the socket below is paused, and the end is left to the sweep (`Connection.expired`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final

from services.gateway.wire import connecting
from services.gateway.wire.client_certificates import ServerTls
from services.gateway.wire.client_connection import ClientConnection, peer_of
from services.gateway.wire.connection import Connection
from services.gateway.wire.driving import Driver
from services.gateway.wire.heads.grammar import LARGEST_HEAD
from services.gateway.wire.sockets import Sockets
from services.gateway.wire.upstream_connection import UpstreamConnection

# Seconds, as for a head. Handshakes with upstreams are within the time limit of connecting.
_OF_CLIENTS: Final = 15.0
_SHUTDOWN: Final = 86_400.0
# A record of TLS begins with a number below 32, a request of HTTP with the letters of its method.
_PLAIN_HTTP: Final = re.compile(rb"[A-Z]+(?: |\Z)").match


class SecureTransport:
    """As much of a transport as a Connection uses. tls: what encrypts. below: the socket's own."""

    __slots__ = ("_below", "_tls", "abort", "get_extra_info", "pause_reading", "resume_reading", "write")

    def __init__(self, tls: Any, below: Any) -> None:
        self._tls = tls
        self._below = below
        self.write = tls.write
        self.abort = tls.abort
        self.get_extra_info = tls.get_extra_info
        self.pause_reading = below.pause_reading
        self.resume_reading = below.resume_reading

    def is_closing(self) -> bool:
        return bool(self._tls.is_closing() or self._below.is_closing())

    def get_write_buffer_size(self) -> int:
        return int(self._tls.get_write_buffer_size() + self._below.get_write_buffer_size())

    @staticmethod
    def can_write_eof() -> bool:
        return False

    def close(self) -> None:
        """Send what waits, and that this is the end (close_notify); that of the other end is not waited for (RFC 8446, 6.1)."""
        self._tls.close()
        if not self._tls.get_write_buffer_size():
            self._below.close()


class _Below(asyncio.BufferedProtocol):
    """Between a socket and its TLS. What waits at `SecureTransport.close` goes out later; then the socket is closed here."""

    def __init__(self, tls: Any, below: Any) -> None:
        self._tls = tls
        self._below = below
        self._secure: Any = below.get_protocol()
        self.get_buffer = self._secure.get_buffer  # type: ignore[method-assign]  # the loop calls these two at every read
        self.buffer_updated = self._secure.buffer_updated  # type: ignore[method-assign]

    def eof_received(self) -> bool | None:
        return bool(self._secure.eof_received())

    def pause_writing(self) -> None:
        self._secure.pause_writing()

    def resume_writing(self) -> None:
        self._secure.resume_writing()
        if self._tls.is_closing() and not self._tls.get_write_buffer_size():
            self._below.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._secure.connection_lost(error)


class _BelowUpstream(_Below):
    """An upstream may refuse an upload, say so and not wait for its end: what it said before it reset the connection is read, as without
    TLS (`UpstreamConnection.connection_lost`).
    """

    def connection_lost(self, error: Exception | None) -> None:
        try:
            if error is not None:
                with contextlib.suppress(OSError):
                    size = os.readv(self._below.get_extra_info("socket").fileno(), [self.get_buffer(LARGEST_HEAD)])
                    if size:
                        self.buffer_updated(size)
        finally:
            super().connection_lost(error)


async def connect(
    sockets: Sockets,
    host: str,
    port: int,
    context: ssl.SSLContext,
    *,
    below: Any = None,
    check: Callable[[Any], None] | None = None,
) -> UpstreamConnection:
    """Connect to a server that speaks TLS. below: a transport that is connected to it already. check: looks at the transport after the
    handshake, and raises what ends it. Raises OSError: not reached, not trusted, broken off.
    """
    if below is None:
        below = await connecting.connect(sockets.loop, asyncio.Protocol, host, port)
    connection = UpstreamConnection(sockets)
    try:
        await _shake_hands(connection, below, context, _BelowUpstream, check, server_hostname=host)
    except BaseException:
        below.abort()
        raise
    return connection


class Handshakes:
    """The TLS handshakes of clients that have just connected.

    under_way: how many there are; at most `most`, further clients are dropped. enter, leave: told of each client's address; one that may
    not enter is dropped, too. plain: answers the connection of a client that speaks HTTP without TLS. present: the TLS of the next
    handshake. untrusted: how many ended because nobody here knows the certificate of the client.
    """

    def __init__(
        self,
        sockets: Sockets,
        serve: Callable[[ClientConnection], Coroutine[Any, Any, None]],
        plain: Callable[[ClientConnection], Coroutine[Any, Any, None]],
        present: Callable[[], ServerTls],
        most: int,
        enter: Callable[[str], bool],
        leave: Callable[[str], None],
    ) -> None:
        self._sockets = sockets
        self._serve = serve
        self._plain = plain
        self._present = present
        self._most = most
        self._enter = enter
        self._leave = leave
        self.under_way = self.untrusted = 0

    def protocol(self) -> asyncio.Protocol:
        """Return the protocol of a socket that was just accepted."""
        return _Accepted(self._begin)

    def _begin(self, below: Any) -> None:
        peer = peer_of(below)
        if self.under_way >= self._most or not self._enter(peer):
            below.abort()
        else:
            # Driven, not a task: what the client sends first must find the handshake begun.
            first = _First(below, self._sockets.loop)
            Driver(self._accept(below, peer, first), self._sockets.loop).step()
            first.begin()

    async def _accept(self, below: Any, peer: str, first: _First) -> None:
        self.under_way += 1
        connection = ClientConnection(self._sockets, self._serve)
        present = self._present()

        def shaken(tls: Any) -> None:
            connection.certificate = present.certificate_of(tls.get_extra_info("ssl_object"))

        try:
            await _shake_hands(connection, below, present.context, _Below, shaken, server_side=True, ssl_handshake_timeout=_OF_CLIENTS)
        except OSError as error:
            self.untrusted += isinstance(error, ssl.SSLCertVerificationError)
            # The client spoke no TLS, no version that is supported here, or nothing.
            if first.plain and not below.is_closing():
                plain = ClientConnection(self._sockets, self._plain)
                below.set_protocol(plain)
                plain.connection_made(below)
                if first.ended:
                    plain.close()
            else:
                below.abort()
        except BaseException:
            below.abort()
            raise
        finally:
            self.under_way -= 1
            self._leave(peer)


class _Early(asyncio.Protocol):
    """Keeps what is decrypted before the connection exists: the loop may read the handshake's end and what follows in one turn."""

    def __init__(self) -> None:
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data


class _Accepted(asyncio.Protocol):
    """A socket before its handshake."""

    def __init__(self, begin: Callable[[asyncio.BaseTransport], None]) -> None:
        self._begin = begin

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._begin(transport)


class _First(asyncio.BufferedProtocol):
    """Looks at what a client sends first, then steps aside.

    plain: it was HTTP without TLS, which is thrown away; ended: the client says nothing more.
    """

    def __init__(self, below: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._below = below
        self._loop = loop
        self._secure: Any = None
        self._buffer = memoryview(b"")
        self.plain = self.ended = False

    def begin(self) -> None:
        """Begin to look. To be called in the turn of the loop in which the socket was given to the handshake: nothing was read yet."""
        self._secure = self._below.get_protocol()
        self.pause_writing = self._secure.pause_writing  # type: ignore[method-assign]  # straight to it, as above
        self.resume_writing = self._secure.resume_writing  # type: ignore[method-assign]
        self._below.set_protocol(self)

    def get_buffer(self, sizehint: int) -> Any:
        self._buffer = self._secure.get_buffer(sizehint)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        start, self._buffer = bytes(self._buffer[: min(nbytes, 16)]), memoryview(b"")
        if self.plain:
            return
        self.plain = _PLAIN_HTTP(start) is not None
        if self.plain:
            # To the handshake the client has gone. In the next turn, because it may not have begun.
            self._loop.call_soon(self._secure.connection_lost, ConnectionResetError())
        else:
            self._below.set_protocol(self._secure)
            self._secure.buffer_updated(nbytes)

    def eof_received(self) -> bool | None:
        self.ended = True
        return self.plain or bool(self._secure.eof_received())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.plain:
            self._secure.connection_lost(error)


async def _shake_hands(
    connection: Connection,
    below: Any,
    context: ssl.SSLContext,
    between: type[_Below],
    shaken: Callable[[Any], None] | None = None,
    **how: Any,
) -> None:
    """Shake hands. shaken: told of the transport, before the connection begins. Raises OSError; then the socket is to be closed."""
    early = _Early()
    tls: Any = await connection.sockets.loop.start_tls(below, early, context, ssl_shutdown_timeout=_SHUTDOWN, **how)
    # Only now: bytes before the handshake must not reach the connection, nor its end come before its beginning.
    tls.set_protocol(connection)
    if tls.is_closing():
        raise ConnectionResetError
    if shaken is not None:
        shaken(tls)
    below.set_protocol(between(tls, below))
    connection.connection_made(SecureTransport(tls, below))  # type: ignore[arg-type]  # as much of a transport as it uses
    if early.data:
        connection.data_received(early.data)
