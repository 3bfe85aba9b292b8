"""What a client and the access log hear when no answer comes from an upstream."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.exchange import Target, Timeouts
from services.gateway.forwarding import faults
from services.gateway.refusals import BODY_TOO_LARGE, MALFORMED_REQUEST, REQUEST_TIMEOUT, UPSTREAM_BROKEN, UPSTREAM_TIMEOUT
from services.gateway.wire.bodies import BadBody, BodyTooLarge
from services.gateway.wire.connection import TimedOut
from services.gateway.wire.heads.responses import BadAnswer
from tests.unit.gateway.exchanges import exchange

TIMEOUTS = Timeouts(5.0, 0.5, inf, first_byte_set_by="set by `proxy.timeouts.first_byte`")
TARGET = Target("http", "2001:db8::1", 8080, "", "", b"h", ("http", "2001:db8::1", 8080))


def ends(*, sink: bool = False) -> tuple[Any, Any]:
    """A client and its upstream. sink: the body of the request is on its way."""
    upstream = SimpleNamespace(peer="up.example:80", sink=None)
    return SimpleNamespace(peer="192.0.2.1", sink=upstream if sink else None, idle_timeout=60.0), upstream


def test_the_time_to_the_first_byte() -> None:
    client, upstream = ends()
    request = exchange()
    said = faults.no_answer(TimedOut(upstream), client, upstream, request, TIMEOUTS)
    assert said.kind is UPSTREAM_TIMEOUT
    assert (
        said.detail
        == "The upstream did not begin its answer within 0.5 seconds, set by `proxy.timeouts.first_byte` in the API's definition."
    )
    assert (request.upstream, request.limit) == ("up.example:80", "first byte")


def test_an_upstream_that_does_not_take_the_body() -> None:
    client, upstream = ends(sink=True)
    request = exchange()
    said = faults.no_answer(TimedOut(upstream), client, upstream, request, TIMEOUTS)
    assert said.kind is UPSTREAM_TIMEOUT
    assert said.detail == "The upstream took nothing of the request's body within 60 seconds, which is fixed."
    assert request.limit == "request body"


@pytest.mark.parametrize(
    ("error", "kind"),
    [(BodyTooLarge(), BODY_TOO_LARGE), (BadBody("a chunk"), MALFORMED_REQUEST), (BadAnswer("a status"), UPSTREAM_BROKEN)],
)
def test_what_is_no_matter_of_time(error: Exception, kind: Any) -> None:
    client, upstream = ends(sink=True)
    request = exchange()
    assert faults.no_answer(error, client, upstream, request, TIMEOUTS).kind is kind
    assert (request.upstream, request.limit) == ("up.example:80" if kind is UPSTREAM_BROKEN else "", "")


def test_a_client_whose_body_does_not_come() -> None:
    client, upstream = ends(sink=True)
    request = exchange()
    assert faults.no_answer(TimedOut(client), client, upstream, request, TIMEOUTS).kind is REQUEST_TIMEOUT
    assert request.upstream == ""


def test_no_client_hears_an_address() -> None:
    request = exchange()
    for said in (faults.no_connection(request, TARGET, TIMEOUTS), faults.unreachable(request, TARGET, "No connection.")):
        assert "2001:db8" not in str(said.detail)
        assert request.upstream == "[2001:db8::1]:8080"
