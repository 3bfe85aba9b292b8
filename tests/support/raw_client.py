"""A client that sends exactly the bytes a test names, and reads answers by their framing."""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """fields: lower-case names. whole: False when the connection ended before the body did. raw_body: with its chunk framing."""

    status: int
    reason: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    whole: bool = True
    trailers: list[bytes] = field(default_factory=list)
    chunks: int = 0

    def field(self, name: str) -> str | None:
        found = [value for sent, value in self.fields if sent == name]
        return ", ".join(found) if found else None

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection to 127.0.0.1. timeout: seconds that one read may take. source: the address to connect from."""

    def __init__(
        self, port: int, *, timeout: float = 30.0, tls: ssl.SSLContext | None = None, receive_buffer: int = 0, source: str = "127.0.0.1"
    ) -> None:
        self.socket = socket.socket()
        self.socket.bind((source, 0))
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(("127.0.0.1", port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        except OSError:
            self.socket.close()
            raise
        self.buffer = b""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Go away as a client whose network is gone."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def get(self, target: str, *fields: bytes, method: str = "GET") -> Answer:
        """Send a request without a body, and return its answer."""
        self.send(request(target, *fields, method=method))
        return self.answer(method)

    def _more(self) -> bool:
        try:
            data = self.socket.recv(256 * 1024)
        except (ConnectionError, ssl.SSLError):
            return False
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Read everything up to and with `mark`. Raises EOFError when the connection ends before."""
        while mark not in self.buffer:
            if not self._more():
                raise EOFError(f"the connection ended; had: {self.buffer[-500:]!r}")
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self._more():
                raise EOFError(f"the connection ended after {len(self.buffer)} of {size} bytes")
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def rest(self) -> bytes:
        """Read everything until the other end closes."""
        while self._more():
            pass
        found, self.buffer = self.buffer, b""
        return found

    def closed(self) -> bool:
        """Wait for the other end to close, and say whether it did so without another byte."""
        return self.rest() == b""

    def head(self) -> Answer:
        lines = self.until(b"\r\n\r\n")[:-4].decode("latin-1").split("\r\n")
        _, status, reason = (lines[0] + " ").split(" ", 2)
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        return Answer(int(status), reason.strip(), fields)

    def answer(self, method: str = "GET") -> Answer:
        """Read the next answer with its body. Interim ones (1xx) are answers of their own."""
        found = self.head()
        if method == "HEAD" or found.status < 200 or found.status in (204, 304):
            return found
        try:
            if (found.field("transfer-encoding") or "") == "chunked":
                self._chunked(found)
            elif (length := found.field("content-length")) is not None:
                found.body = self.exactly(int(length))
            else:
                found.body = self.rest()
        except EOFError:
            found.whole = False
            found.body += self.buffer
        return found

    def _chunked(self, found: Answer) -> None:
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            found.body += self.exactly(size)
            found.chunks += 1
            assert self.exactly(2) == b"\r\n"
        while (line := self.until(b"\r\n")) != b"\r\n":
            found.trailers.append(line[:-2])


def request(target: str, *fields: bytes, method: str = "GET", body: bytes | None = None) -> bytes:
    """Write the bytes of a request. body: sent with its length."""
    lines = [f"{method} {target} HTTP/1.1\r\nHost: gateway.test\r\n".encode(), *(line + b"\r\n" for line in fields)]
    if body is not None:
        lines.append(b"Content-Length: %d\r\n" % len(body))
    return b"".join([*lines, b"\r\n", body or b""])
