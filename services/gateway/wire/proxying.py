"""Connections through a forward proxy: tunnels (CONNECT, RFC 9110, 9.3.6) for TLS and upgrades, the absolute form for plain HTTP."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from services.common.addresses import bracketed, host_port
from services.gateway.wire import connecting
from services.gateway.wire.heads.grammar import Incomplete
from services.gateway.wire.heads.responses import BadAnswer, parse_response
from services.gateway.wire.routes import ForwardProxy

_LARGEST_HEAD: Final = 16 * 1024
_HTTP: Final = 80


class ProxyRefused(OSError):
    """The proxy did not connect. The text says why, without addresses."""


async def open_tunnel(loop: asyncio.AbstractEventLoop, proxy: ForwardProxy, host: str, port: int) -> Any:
    """Return the transport of a connection to a host through a proxy. Raises OSError."""
    below = await connecting.connect(loop, lambda: _Tunnel(loop), proxy.host, proxy.port)
    tunnel: _Tunnel = below.get_protocol()
    try:
        authority = host_port(host, port).encode("ascii")
        lines = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n" % (authority, authority)
        below.write(lines + authorization_of(proxy) + b"\r\n")
        status = await tunnel.answer
        if not 200 <= status < 300:
            raise ProxyRefused(f"the proxy answered {status}" if status else "the answer of the proxy is not valid HTTP")
    except BaseException:
        below.abort()
        raise
    return below


def authorization_of(proxy: ForwardProxy) -> bytes:
    """Return the line that says who asks, with its CR LF; b"" when nobody is asked."""
    return b"Proxy-Authorization: %b\r\n" % proxy.authorization if proxy.authorization else b""


class AbsoluteForm:
    """Writes requests for a proxy, which learns from their absolute form (RFC 9112, 3.2.2) where they go."""

    __slots__ = ("_authority", "_fields")

    def __init__(self, proxy: ForwardProxy, host: str, port: int) -> None:
        self._authority = b"http://" + (bracketed(host) if port == _HTTP else host_port(host, port)).encode("ascii")
        self._fields = authorization_of(proxy)

    def of(self, request: bytes) -> bytes:
        """Return a request, whose head begins it, as the proxy needs it."""
        line, _, rest = request.partition(b"\r\n")
        method, _, target = line.partition(b" ")
        return b"%b %b%b\r\n%b%b" % (method, self._authority, target, self._fields, rest)


class _Tunnel(asyncio.Protocol):
    """Waits for the answer of a proxy. answer: its status, 0 = it is not HTTP."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answer: asyncio.Future[int] = loop.create_future()
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            head = parse_response(self._data)
        except Incomplete:
            if len(self._data) > _LARGEST_HEAD:
                self._end(0)
        except BadAnswer:
            self._end(0)
        else:
            # Nothing may follow: the other end is asked first.
            self._end(head.status if head.consumed == len(self._data) or head.status >= 300 else 0)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(error or ConnectionResetError("the proxy ended the connection"))
            self.answer.exception()  # whoever waited may be gone

    def _end(self, status: int) -> None:
        if not self.answer.done():
            self.answer.set_result(status)
