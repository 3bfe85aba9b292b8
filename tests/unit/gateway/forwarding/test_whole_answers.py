"""How an answer that was read as a whole is framed for its client."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.forwarding.whole_answers import changed_head, transformed
from services.gateway.wire.heads.responses import parse_response
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


class _OfJson:
    """Wants JSON."""

    def wants(self, exchange: Exchange, head: ResponseHead) -> bool:
        return (b"Content-Type", b"application/json") in head.headers

    def transform(self, exchange: Exchange, head: ResponseHead, body: bytes) -> bytes:
        return body


@pytest.mark.parametrize(
    ("sent", "set_", "changed"), [("json", "plain", True), ("plain", "json", True), ("json", "json", True), ("plain", "xml", False)]
)
def test_a_content_type_that_the_definition_sets_does_not_let_a_body_out_unchanged(sent: str, set_: str, changed: bool) -> None:
    def sets(asked: Exchange, head: ResponseHead) -> None:
        head.headers = [(b"Content-Type", b"application/" + set_.encode())]

    asked, transform = exchange(), _OfJson()
    asked.answer_transforms = (transform,)
    answer = parse_response(b"HTTP/1.1 200 OK\r\nContent-Type: application/%b\r\nContent-Length: 2\r\n\r\n" % sent.encode())
    api: Any = SimpleNamespace(answer_stages=(sets,))
    head, transforms = changed_head(answer, asked, api)
    assert head.headers == [(b"Content-Type", b"application/" + set_.encode())]
    assert transforms == [transform] * changed
