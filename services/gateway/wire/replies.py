"""Heads of the answers that the gateway gives itself."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from services.gateway.exchange import Reply

_REASONS: Final = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
_BODILESS: Final = frozenset({204, 304})
_date: tuple[int, bytes] = (0, b"")


def reply_head(reply: Reply, close: bool, minor_version: int) -> bytes:
    """The head with its framing. minor_version: of the client's HTTP/1.x."""
    lines = [b"HTTP/1.1 %d %b\r\n" % (reply.status, _REASONS.get(reply.status, b"Unknown"))]
    lines += [b"%b: %b\r\n" % header for header in reply.headers]
    if reply.status not in _BODILESS:
        lines.append(b"Content-Length: %d\r\n" % len(reply.body))
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
