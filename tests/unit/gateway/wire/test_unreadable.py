"""What a head that cannot be read seems to ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.wire.heads.grammar import LARGEST_HEAD
from services.gateway.wire.heads.unreadable import seems_to_ask


@pytest.mark.parametrize(
    ("data", "host", "path"),
    [
        (b"GET /a/b?c HTTP/1.1\r\nA b: 1\r\nhOST:  H.Example.:80 \r\n\r\n", "h.example", "/a/b"),
        (b"\r\nget /a HTTP/9\r\n", "", "/a"),
        (b"GET https://g:81/a#b HTTP/1.1\r\nHost: h\r\nHost: i\r\n", "h", "/a"),
        (b"GET /a", "", "/a"),
        (b"GET /../%00 HTTP/1.1\nHost : h\n", "h", "/../%00"),
        (b"GET /\xff HTTP/1.1\r\nX: Host: h\r\n\r\n", "", "/\xff"),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "h", ""),
        (b"GET  /a HTTP/1.1\r\n", "", ""),
        (b"GET a?/b HTTP/1.1\r\n", "", ""),
        (b"\x16\x03\x01\x02", "", ""),
        (b"", "", ""),
        (b"GET /a?" + b"b" * LARGEST_HEAD + b" HTTP/1.1\r\nHost: h\r\n", "", "/a"),
    ],
)
def test_host_and_path(data: bytes, host: str, path: str) -> None:
    assert seems_to_ask(data) == (host, path)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    host, path = seems_to_ask(b"GET /" + data)
    assert path.startswith("/")
    assert not {" ", "\r", "\n", "?", "#"} & set(path)
    assert host == host.lower()
    seems_to_ask(data)
