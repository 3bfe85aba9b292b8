"""The answers that the gateway gives itself: which of them have a body and say its length."""

from __future__ import annotations

import pytest

from services.gateway.exchange import Reply
from services.gateway.wire.replies import reply_bytes


@pytest.mark.parametrize(
    ("status", "method", "length", "body"),
    [
        (200, "GET", b"Content-Length: 4", b"body"),
        (200, "HEAD", b"Content-Length: 4", b""),
        (204, "GET", None, b""),
        (205, "GET", b"Content-Length: 0", b""),
        (304, "GET", None, b""),
        (404, "", b"Content-Length: 4", b"body"),
    ],
)
def test_bodies_and_lengths(status: int, method: str, length: bytes | None, body: bytes) -> None:
    head, _, rest = reply_bytes(Reply(status, [], b"body"), method, False, 1).partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    assert lengths == ([] if length is None else [length])
    assert rest == body
