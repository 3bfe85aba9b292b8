"""How an answer that was read as a whole is framed for its client."""

from __future__ import annotations

import asyncio

import pytest

from services.gateway.exchange import ResponseHead
from services.gateway.forwarding.whole_answers import transformed
from tests.unit.gateway.exchanges import exchange


@pytest.mark.parametrize(
    ("client", "upstream", "status", "body", "length"),
    [
        ("GET", None, 200, b"ab", b"2"),
        ("GET", None, 200, b"", b"0"),
        ("GET", "HEAD", 200, b"", b"0"),
        ("HEAD", "GET", 200, b"ab", b"2"),
        ("HEAD", "GET", 200, b"", b"0"),
        ("HEAD", None, 200, b"", None),
        ("HEAD", "HEAD", 200, b"", None),
        ("GET", None, 204, b"", None),
        ("GET", "HEAD", 304, b"", None),
    ],
)
def test_the_length_that_a_client_is_told(client: str, upstream: str | None, status: int, body: bytes, length: bytes | None) -> None:
    asked = exchange(client)
    asked.upstream_method = upstream
    head = ResponseHead(status, b"", [(b"content-length", b"99"), (b"A", b"b")])
    assert asyncio.run(transformed([], [], asked, head, body)) == body
    assert head.headers == [(b"A", b"b"), *([(b"Content-Length", length)] if length is not None else [])]
