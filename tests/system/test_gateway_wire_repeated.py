"""Fields that come in several lines, and bytes that come where none may: nothing is lost or taken for something else."""

from __future__ import annotations

from tests.support.gateway import Gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient


def test_every_via_line_goes_on(client: RawClient) -> None:
    told = client.get("/odd/via", b"Via: 1.0 a", b"via: 1.1 b").json()
    assert [value for name, value in told["fields"] if name.lower() == "via"] == ["1.0 a, 1.1 b, 1.1 gatehouse"]


def test_every_expectation_must_be_one_that_can_be_met(client: RawClient, odd_upstream: OddUpstream) -> None:
    client.send(b"POST /odd/expects-nonsense HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: nonsense\r\nExpect: 100-continue\r\n\r\n")
    assert client.answer().status == 417
    assert not odd_upstream.count("/expects-nonsense")


def test_a_body_that_no_answer_to_head_may_have_reaches_nobody(wire_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    """What follows such an answer on its connection would be taken for the next answer."""

    def with_a_body(asked: Request) -> None:
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHT")

    odd_upstream.on("/poison", with_a_body)
    with RawClient(wire_gateway.port) as client:
        assert client.get("/odd/poison", method="HEAD").status == 200
    first = odd_upstream.requests("/poison")[0].connection
    with RawClient(wire_gateway.port) as client:
        assert client.get("/odd/after-poison").status == 200
    assert odd_upstream.requests("/after-poison")[0].connection != first
