"""Messages between a worker and a process of scripts: JSON with its length in front (4 bytes, big-endian)."""

from __future__ import annotations

import json
import socket
from typing import Any, Final

_LARGEST: Final = 32 * 1024 * 1024


class TooLarge(Exception):
    """A message is larger than the other side reads."""


def write(message: Any) -> bytes:
    """Return a message as it is sent. Raises TooLarge."""
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
    if len(body) > _LARGEST:
        raise TooLarge
    return len(body).to_bytes(4, "big") + body


def length(head: bytes) -> int:
    """Return how many bytes follow the first four. Raises TooLarge."""
    found = int.from_bytes(head, "big")
    if found > _LARGEST:
        raise TooLarge
    return found


def receive(link: socket.socket) -> Any:
    """Wait for a message. Raises EOFError when the other side is gone."""
    return json.loads(_exactly(link, length(_exactly(link, 4))))


def _exactly(link: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        piece = link.recv(min(count - len(found), 1 << 20))
        if not piece:
            raise EOFError
        found += piece
    return bytes(found)
