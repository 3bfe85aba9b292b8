"""Answers that the server gives itself: their heads and framing."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Protocol

from services.gateway.wire.heads.grammar import Header

_REASONS: Final = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
# Without content, and without a length: 204 must not have one, that of 304 would be of another answer (RFC 9110, 8.6).
_LENGTHLESS: Final = frozenset({204, 304})
# 205 says its length, which is 0 (RFC 9110, 15.3.6).
_BODILESS: Final = _LENGTHLESS | {205}
_date: tuple[int, bytes] = (0, b"")


class Reply(Protocol):
    """An answer that the server gives itself. headers: without framing, which is added here."""

    status: int
    headers: list[Header]
    body: bytes


def reply_bytes(reply: Reply, method: str, close: bool, minor_version: int) -> bytes:
    """Return the whole answer, as far as it may have a body. method: of the request; minor_version: of the client's HTTP/1.x."""
    head = reply_head(reply, close, minor_version)
    return head if method == "HEAD" or reply.status in _BODILESS else head + reply.body


def reply_head(reply: Reply, close: bool, minor_version: int) -> bytes:
    """Return the head with its framing. minor_version: of the client's HTTP/1.x."""
    lines = [b"HTTP/1.1 %d %b\r\n" % (reply.status, _REASONS.get(reply.status, b"Unknown"))]
    lines += [b"%b: %b\r\n" % header for header in reply.headers]
    if reply.status not in _LENGTHLESS:
        lines.append(b"Content-Length: %d\r\n" % (0 if reply.status in _BODILESS else len(reply.body)))
    lines.append(b"Date: %b\r\n" % _now())
    if close:
        lines.append(b"Connection: close\r\n")
    elif minor_version == 0:
        lines.append(b"Connection: keep-alive\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def _now() -> bytes:
    global _date
    second = int(time.time())
    if second != _date[0]:
        _date = (second, formatdate(second, usegmt=True).encode("ascii"))
    return _date[1]
