"""Nobody is waited for without end: upstreams after an interim answer, clients that take nothing; and whose word counts in a batch."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def behind_proxy(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose clients come through a proxy that it trusts."""
    definitions = [definition("batch", f"{odd_upstream.url}/", enable_batch_request_support=True)]
    with gateway(tmp_path_factory.mktemp("proxied"), definitions, {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32"}) as running:
        yield running


def test_silence_after_an_interim_answer_is_a_timeout(client: RawClient, odd_upstream: OddUpstream) -> None:
    def hints_only(request: Request) -> None:
        request.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        request.more()  # until the gateway gives up

    odd_upstream.on("/hints-only", hints_only)
    client.send(request("/hasty/hints-only"))
    assert client.answer().status == 103
    assert client.answer().status == 504


def test_silence_after_a_continue_is_a_timeout(client: RawClient, odd_upstream: OddUpstream) -> None:
    def takes_all(request: Request) -> None:
        request.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body()
        request.more()

    odd_upstream.on("/takes-all", takes_all)
    client.send(b"POST /hasty/takes-all HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert client.answer().status == 100
    client.send(b"abc")
    assert client.answer().status == 504


def test_an_upstream_that_goes_after_an_interim_answer_is_a_502(client: RawClient, odd_upstream: OddUpstream) -> None:
    def gone(request: Request) -> bool:
        request.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        return False

    odd_upstream.on("/hints-and-gone", gone)
    client.send(request("/odd/hints-and-gone"))
    assert client.answer().status == 103
    assert client.answer().status == 502


def test_every_line_of_connection_names_fields(client: RawClient) -> None:
    client.send(b"GET /odd/x HTTP/1.1\r\nHost: h\r\nConnection: X-Own\r\nConnection: keep-alive\r\nX-Own: 1\r\nX-Other: 2\r\n\r\n")
    names = {name.lower() for name, _ in client.answer().json()["fields"]}
    assert "x-other" in names
    assert "x-own" not in names


def test_an_entry_of_a_batch_cannot_say_whom_it_comes_from(behind_proxy: Gateway) -> None:
    lies = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil", "X-Forwarded-Prefix": "/evil", "Forwarded": "for=6.6.6.6"}
    envelope = json.dumps({"requests": [{"relative_url": "x", "headers": lies}]}).encode()
    with RawClient(behind_proxy.port) as client:
        route = b"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n"
        head = b"POST /batch/tyk/batch/ HTTP/1.1\r\nHost: h\r\n" + route + b"Content-Length: %d\r\n\r\n"
        client.send(head % len(envelope) + envelope)
        (entry,) = client.answer().json()
    fields = dict(json.loads(entry["body"])["fields"])
    assert fields["X-Forwarded-For"] == "9.9.9.9, 127.0.0.1"
    assert fields["X-Forwarded-Proto"] == "https"
    assert "evil" not in str(fields)
    assert "6.6.6.6" not in str(fields)
