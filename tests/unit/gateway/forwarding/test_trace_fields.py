"""`traceparent` and `tracestate` in the heads that upstreams get."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from services.common.addresses import AddressSet
from services.gateway.compiler import compile_api
from services.gateway.exchange import CompiledApi, Exchange
from services.gateway.forwarding.request_heads import RequestHeads, TracedHeads
from services.gateway.observe.tracing import Tracing
from tests.unit.gateway.exchanges import definition, exchange, ports

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"
OFF = RequestHeads(AddressSet(()))
ON = TracedHeads(AddressSet(()), Tracing(lambda: SimpleNamespace(), 1.0, lambda *_: None))


@pytest.fixture
def api() -> CompiledApi:
    return compile_api(definition(), ports(), 1)


def sent(heads: RequestHeads, api: CompiledApi, one: Exchange) -> list[tuple[str, str]]:
    """The fields of the two, as the upstream gets them."""
    client: Any = SimpleNamespace(memo=None)
    head = heads.write(client, one, api, api.targets[0]).decode()
    assert head.endswith("\r\n\r\n")
    assert head.count("\r\n\r\n") == 1
    return re.findall(r"^(trace\w+): (.*)\r$", head, re.MULTILINE | re.IGNORECASE)


Fields = list[tuple[str, str]]


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ([], []),
        ([("traceparent", GOOD)], [("traceparent", GOOD)]),
        (
            [("Traceparent", GOOD), ("tracestate", "a=1"), ("tracestate", "b=2")],
            [("Traceparent", GOOD), ("tracestate", "a=1"), ("tracestate", "b=2")],
        ),
        ([("traceparent", "00-x"), ("tracestate", "a=1")], []),
        ([("traceparent", GOOD), ("traceparent", GOOD), ("tracestate", "a=1")], []),
        ([("tracestate", "a=1")], []),
    ],
)
def test_without_traces_a_sound_one_goes_on_as_it_is(api: CompiledApi, given: Fields, passed: Fields) -> None:
    one = exchange(headers=[("host", "api.example"), ("accept", "*/*"), *given])
    for _ in range(2):  # the second time from memory
        assert sent(OFF, api, one) == passed


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ([], []),
        ([("traceparent", GOOD), ("tracestate", "a=1")], [("tracestate", "a=1")]),
        ([("traceparent", "00-x"), ("tracestate", "a=1")], []),
        ([("tracestate", "a=1")], []),
    ],
)
def test_with_traces_the_parent_is_the_gateway(api: CompiledApi, given: Fields, state: Fields) -> None:
    parents = set()
    section = exchange(headers=[("host", "api.example"), *given]).section
    for _ in range(2):  # two requests with the same fields are two calls
        one = exchange()
        one.section = section
        *others, (name, parent) = sent(ON, api, one)
        assert (others, name) == (state, "traceparent")
        assert one.trace is not None
        assert parent == f"00-{one.trace.id:032x}-{one.trace.asking:016x}-01"
        assert (one.trace.id == int(TRACE, 16)) == (("traceparent", GOOD) in given)
        parents.add(parent)
    assert len(parents) == 2
