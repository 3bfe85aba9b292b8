"""An API's `error_template` is the shape of every refusal below its listen path, also of what is refused before the API is asked."""

from __future__ import annotations

import pytest

from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request

_HOST = b"Host: shaped.test\r\n"

# Refused with an exchange: status, code, and what is sent.
JUDGED = {
    "too large": (413, "body-too-large", request("/shaped/x", method="POST", body=b"x" * 1001)),
    "too large in chunks": (
        413,
        "body-too-large",
        b"POST /shaped/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7d1\r\n" + b"x" * 2001 + b"\r\n0\r\n\r\n",
    ),
    "malformed chunk": (400, "malformed-request", b"POST /shaped/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "expectation": (417, "expectation-failed", request("/shaped/x", b"Expect: a miracle")),
    "upstream hangs up": (502, "upstream-broken", request("/shaped/hangs-up")),
}

# Refused unread.
UNREAD = {
    "target": (414, "target-too-long", request("/shaped/x?ids=" + "a" * 17_000)),
    "target without an end": (414, "target-too-long", request("/shaped/x?ids=" + "a" * 100_000)),
    "target of the host": (414, "target-too-long", b"GET /x?" + b"a" * 17_000 + b" HTTP/1.1\r\n" + _HOST + b"\r\n"),
    "head": (431, "head-too-large", request("/shaped/x", b"A: " + b"a" * 70_000)),
    "head of the host": (431, "head-too-large", b"GET /x HTTP/1.1\r\n" + _HOST + b"A: " + b"a" * 70_000 + b"\r\n\r\n"),
    "fields": (431, "head-too-large", request("/shaped/x", *[b"A: a"] * 201)),
    "field": (400, "bad-header", request("/shaped/x", b"A b: 1")),
    "lengths": (400, "ambiguous-length", request("/shaped/x", b"Content-Length: 1", b"Content-Length: 2")),
    "method": (501, "method-not-supported", request("/shaped/x", method="TRACE")),
    "version": (505, "unsupported-http-version", b"GET /shaped/x HTTP/3.0\r\nHost: h\r\n\r\n"),
    "no host": (400, "bad-host", b"GET /shaped/x HTTP/1.1\r\n\r\n"),
    "two hosts": (400, "bad-host", b"GET /x HTTP/1.1\r\n" + _HOST + b"host: h\r\n\r\n"),
    "absolute target": (400, "bad-host", b"GET http://other/shaped/x HTTP/1.1\r\nHost: h\r\n\r\n"),
    "path": (400, "bad-path", request("/shaped/a%00")),
    "climbing path": (400, "bad-path", request("/shaped/../../x")),
}


def _hang_up(asked: Request) -> bool:
    return False


@pytest.mark.parametrize("name", JUDGED)
def test_judged(name: str, client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/hangs-up", _hang_up)
    status, code, raw = JUDGED[name]
    client.send(raw)
    answer = client.answer()
    assert (answer.status, answer.field("content-type")) == (status, "application/json")
    told = answer.json()
    assert told.keys() == {"status", "message", "code"}
    assert (told["status"], bool(told["message"]), told["code"]) == (False, True, code)


@pytest.mark.parametrize("name", UNREAD)
def test_unread(name: str, client: RawClient, odd_upstream: OddUpstream) -> None:
    """Also as the second request of a connection, whose first one was good."""
    assert client.get("/odd/first").status == 200
    before = len(odd_upstream.seen)
    status, code, raw = UNREAD[name]
    client.send(raw)
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (status, "close")
    told = answer.json()
    assert told.keys() == {"status", "message", "code"}
    assert (told["status"], bool(told["message"]), told["code"]) == (False, True, code)
    assert client.closed()
    assert len(odd_upstream.seen) == before


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /odd/x HTTP/1.1\r\nHost: h\r\nA b: 1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: other.test\r\nA b: 1\r\n\r\n",
        b"GET /odd/x?/shaped/x HTTP/1.1\r\nHost: h\r\nA b: /shaped/\r\n\r\n",
        b"\x16\x03\x01\x02\r\n\r\n",
    ],
)
def test_what_belongs_to_others_has_the_usual_shape(raw: bytes, client: RawClient) -> None:
    client.send(raw)
    answer = client.answer()
    assert answer.status == 400
    assert {"error", "code", "request_id"} <= answer.json().keys()


def test_preflight_and_head_go_through(client: RawClient, odd_upstream: OddUpstream) -> None:
    """The service says who may call it from where, and what its HEAD is."""
    asked = (b"Origin: https://app.example", b"Access-Control-Request-Method: PUT", b"Access-Control-Request-Headers: token")
    assert client.get("/shaped/preflight", *asked, method="OPTIONS").status == 200
    assert client.get("/shaped/preflight", method="HEAD").status == 200
    preflight, head = odd_upstream.requests("/preflight")
    assert (preflight.method, head.method) == ("OPTIONS", "HEAD")
    told = (preflight.field("origin"), preflight.field("access-control-request-method"), preflight.field("access-control-request-headers"))
    assert told == ("https://app.example", "PUT", "token")
