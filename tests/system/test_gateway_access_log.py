"""Lines of the access log, of requests through the real sockets: how much came, from whom, and what the upstream took."""

from __future__ import annotations

import pytest

from tests.support.gateway import Gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient
from tests.support.waiting import wait_until

CHUNKS = b"".join(b"%x\r\n%b\r\n" % (1000, b"x" * 1000) for _ in range(100)) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "framing", "body", "received"),
    [
        ("none", b"", b"", 0),
        ("small", b"Content-Length: 1000\r\n", b"x" * 1000, 1000),
        ("streamed", b"Content-Length: 100000\r\n", b"x" * 100_000, 100_000),
        ("chunked", b"Transfer-Encoding: chunked\r\n", CHUNKS, 100_000),
    ],
)
def test_a_request_that_was_passed_on(
    wire_gateway: Gateway, odd_upstream: OddUpstream, client: RawClient, name: str, framing: bytes, body: bytes, received: int
) -> None:
    client.send(b"POST /odd/logged-%b?secret=1 HTTP/1.1\r\nHost: api.example:81\r\n%b\r\n%b" % (name.encode(), framing, body))
    assert client.answer().status == 200
    line = wire_gateway.logged(path=f"/odd/logged-{name}")
    assert (line["received"], line["host"], line["protocol"], line["scheme"]) == (received, "api.example", "HTTP/1.1", "http")
    assert line["upstream"] == odd_upstream.url.partition("://")[2]
    assert line["ms"] >= line["upstream_ms"] >= line["upstream_first_byte_ms"] > 0
    assert not {"refused", "peer", "user_agent", "trace_id"} & set(line)


def test_only_what_was_read_of_a_body_counts(wire_gateway: Gateway, client: RawClient) -> None:
    client.send(b"POST /small/logged-large HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
    assert client.answer().status == 413
    line = wire_gateway.logged(path="/small/logged-large")
    assert line["received"] == 0
    assert not {"upstream", "upstream_ms"} & set(line)


def test_an_upstream_is_named_also_when_the_client_does_not_wait(wire_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    def hang(asked: Request) -> bool:
        asked.more()  # until the gateway ends the call
        return False

    odd_upstream.on("/logged-hang", hang)
    with RawClient(wire_gateway.port) as client:
        client.send(b"GET /odd/logged-hang HTTP/1.1\r\nHost: left.example\r\n\r\n")
        wait_until(lambda: odd_upstream.count("/logged-hang"), 20, "the request at the upstream")
    line = wire_gateway.logged(path="/odd/logged-hang", host="left.example")
    assert (line["status"], line["upstream"]) == (499, odd_upstream.url.partition("://")[2])
    assert "upstream_first_byte_ms" not in line


def test_an_upstream_that_is_away_is_named(wire_gateway: Gateway, client: RawClient) -> None:
    client.send(b"GET /dead/logged HTTP/1.0\r\nHost: x\r\n\r\n")
    assert client.answer().status == 502
    line = wire_gateway.logged(path="/dead/logged")
    assert (line["refused"], line["protocol"]) == ("upstream-unreachable", "HTTP/1.0")
    assert line["upstream"].startswith("127.0.0.1:")
    assert line["ms"] >= line["upstream_ms"] > 0
    assert "upstream_first_byte_ms" not in line


def test_a_new_connection_is_timed_and_a_kept_one_is_not(wire_gateway: Gateway, odd_upstream: OddUpstream, client: RawClient) -> None:
    odd_upstream.on("/logged-closes", lambda request: request.answer(b"ok", b"Connection: close"))
    for number in range(3):  # after the first there is no idle connection; after the second there is one
        client.get("/odd/logged-closes" if number == 0 else f"/odd/logged-kept-{number}")
    first, second = (wire_gateway.logged(path=f"/odd/logged-kept-{number}") for number in (1, 2))
    assert first.get("upstream_connect_ms", 1) > 0
    assert "upstream_connect_ms" not in second
