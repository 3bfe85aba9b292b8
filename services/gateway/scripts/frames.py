"""Messages between a worker and a process of scripts: a line of JSON, and behind it a text as it is, which is often long and JSON itself.

In front is the length of both (4 bytes, big-endian).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any, Final

_LARGEST: Final = 32 * 1024 * 1024


class TooLarge(Exception):
    """A message is larger than the other side reads."""


def write(message: Mapping[str, Any], text: str = "") -> bytes:
    """Return a message as it is sent. Raises TooLarge."""
    head = json.dumps(message).encode()
    body = text.encode("utf-8", "replace")
    size = len(head) + 1 + len(body)
    if size > _LARGEST:
        raise TooLarge
    return b"".join((size.to_bytes(4, "big"), head, b"\n", body))


def read(body: bytes) -> dict[str, Any]:
    """Return a message that came, with its text as `text`. Raises ValueError."""
    head, _, text = body.partition(b"\n")
    return {**json.loads(head), "text": text.decode()}


def length(head: bytes) -> int:
    """Return how many bytes follow the first four. Raises TooLarge."""
    found = int.from_bytes(head, "big")
    if found > _LARGEST:
        raise TooLarge
    return found


def receive(link: socket.socket) -> dict[str, Any]:
    """Wait for a message. Raises EOFError when the other side is gone."""
    return read(_exactly(link, length(_exactly(link, 4))))


def _exactly(link: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        piece = link.recv(min(count - len(found), 1 << 20))
        if not piece:
            raise EOFError
        found += piece
    return bytes(found)
