"""An upstream in a process of its own: `python -m bench.attackers.upstream PORT [hostile]`; a hostile one stands back as the attackers do.

/small     100 bytes
/interim   1xx heads without end, as fast as the other side takes them
else       a chunked body is read to its end and dropped, then 200 without a body
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from bench.attackers.flood import stand_back

_SMALL = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
_EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" * 1000
_END_OF_HEAD = b"\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection of the gateway's."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""
        self._dropping = False
        self._interim = False

    def data_received(self, data: bytes) -> None:
        if self._dropping:
            self._drop(data)
            return
        self._buffer += data
        while not self._dropping and _END_OF_HEAD in self._buffer:
            head, _, self._buffer = self._buffer.partition(_END_OF_HEAD)
            path = head.split(b" ", 2)[1]
            if path == b"/interim":
                self._interim = True
                self.resume_writing()
            elif b"transfer-encoding: chunked" in head.lower():
                rest, self._buffer, self._dropping = self._buffer, b"", True
                self._drop(rest)
            else:
                self._transport.write(_SMALL if path == b"/small" else _EMPTY)

    def _drop(self, data: bytes) -> None:
        """The bodies of this bench have no empty line before their end."""
        self._buffer = (self._buffer + data)[-4:]
        if self._buffer == _END_OF_HEAD:
            self._buffer, self._dropping = b"", False
            self._transport.write(_EMPTY)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._interim:
            self._more()

    def _more(self) -> None:
        if not self._full and not self._transport.is_closing():
            self._transport.write(_INTERIM)
            asyncio.get_running_loop().call_soon(self._more)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    if "hostile" in sys.argv:
        stand_back()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1])))
