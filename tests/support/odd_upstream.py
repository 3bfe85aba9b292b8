"""An upstream that does what a test tells it, byte by byte: wrong lengths, early answers, silence, closed connections.

`on(path, handler)` scripts a path; a path without a handler answers 200 with what was asked. A handler gets the Request and gives back
whether the connection is kept (None = yes).
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

_PIECE = 256 * 1024


class Request:
    """One request: `method`, `target`, `head` (raw), `fields` (name as sent, value), `connection` (its number, from 1)."""

    def __init__(self, link: socket.socket, head: bytes, rest: bytes, connection: int) -> None:
        self.link = link
        self.head = head
        self.connection = connection
        self.rest = rest
        self.trailers: list[bytes] = []
        line, *fields = head.split(b"\r\n")
        self.method, self.target, _ = line.decode("latin-1").split(" ", 2)
        self.path = self.target.partition("?")[0]
        self.fields = [(name.decode("latin-1"), value.strip().decode("latin-1")) for name, _, value in (f.partition(b":") for f in fields)]

    def field(self, name: str) -> str | None:
        """The value; several joined by commas, as HTTP means them."""
        found = [value for sent, value in self.fields if sent.lower() == name.lower()]
        return ", ".join(found) if found else None

    def more(self) -> bytes:
        """What comes next; nothing = the other end closed."""
        if self.rest:
            data, self.rest = self.rest, b""
            return data
        return self.link.recv(_PIECE)

    def _exactly(self, size: int, take: Callable[[bytes], Any]) -> None:
        while size:
            data = self.more()
            if not data:
                raise ConnectionError("the request ended early")
            take(data[:size])
            self.rest, size = data[size:] + self.rest, max(0, size - len(data))

    def _line(self) -> bytes:
        data = b""
        while b"\r\n" not in data:
            piece = self.more()
            if not piece:
                raise ConnectionError("the request ended early")
            data += piece
        line, _, self.rest = data.partition(b"\r\n")
        return line

    def take_body(self, take: Callable[[bytes], Any]) -> None:
        """Gives the body to `take` in pieces. Chunked bodies are decoded; their trailers are in `trailers` then."""
        if (self.field("transfer-encoding") or "").lower() == "chunked":
            while size := int(self._line().split(b";")[0], 16):
                self._exactly(size, take)
                assert self._line() == b""
            while line := self._line():
                self.trailers.append(line)
        else:
            self._exactly(int(self.field("content-length") or 0), take)

    def body(self) -> bytes:
        pieces: list[bytes] = []
        self.take_body(pieces.append)
        return b"".join(pieces)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.link.sendall(piece)

    def answer(self, body: bytes = b"ok", *fields: bytes, status: bytes = b"200 OK") -> None:
        lines = b"".join(field + b"\r\n" for field in fields)
        self.send(b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body))


Handler = Callable[[Request], bool | None]


class OddUpstream:
    """A listener on loopback; a thread for each connection. seen: every request, in order."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._handlers: dict[str, Handler] = {}
        self._lock = threading.Lock()
        self.seen: list[Request] = []
        self.connections = 0
        threading.Thread(target=self._accept, name="odd-upstream", daemon=True).start()

    def on(self, path: str, handler: Handler) -> None:
        """Scripts a path (without query)."""
        self._handlers[path] = handler

    def count(self, path: str) -> int:
        """How many requests a path has had."""
        return len(self.requests(path))

    def requests(self, path: str) -> list[Request]:
        with self._lock:
            return [one for one in self.seen if one.path == path]

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is not None:
                    link = self._tls.wrap_socket(link, server_side=True)
                self._answer(link)
        finally:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def _answer(self, link: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            number = self.connections
        rest = b""
        while True:
            while b"\r\n\r\n" not in rest:
                data = link.recv(_PIECE)
                if not data:
                    return
                rest += data
            head, _, rest = rest.partition(b"\r\n\r\n")
            request = Request(link, head, rest, number)
            with self._lock:
                self.seen.append(request)
            if self._handlers.get(request.path, _echo)(request) is False:
                return
            rest = request.rest


def _echo(request: Request) -> None:
    body = request.body()
    told = {"method": request.method, "target": request.target, "fields": request.fields, "length": len(body)}
    request.answer(b"" if request.method == "HEAD" else json.dumps(told).encode(), b"Content-Type: application/json")
