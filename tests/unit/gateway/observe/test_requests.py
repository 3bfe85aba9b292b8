"""Answered requests, counted by API: what the page of metrics says of them."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.gateway.observe import requests
from services.gateway.observe.requests import Requests
from tests.unit.gateway.exchanges import exchange

Written = list[tuple[int, int, float]]


@pytest.fixture
def written() -> Written:
    return []


@pytest.fixture
def counted(written: Written) -> Requests:
    return Requests(lambda _, status, size, spent: written.append((status, size, spent)))


def answer(counted: Requests, api_id: str | None, status: int, spent: float = 0.0, refused: str = "") -> None:
    """Have a request answered that came `spent` seconds ago."""
    one = exchange()
    api: Any = None if api_id is None else SimpleNamespace(api_id=api_id)
    one.api, one.refused = api, refused
    one.started -= spent
    counted.answered(one, status, 7)


def page(counted: Requests) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(counted)
    return {name: float(value) for name, value in re.findall(r"^(gateway_\S+) (\S+)$", generate_latest(registry).decode(), re.MULTILINE)}


def test_by_api_and_status(counted: Requests, written: Written) -> None:
    for status in (200, 200, 404, 502):
        answer(counted, "one", status)
    answer(counted, "two", 200)
    answer(counted, None, 404)
    found = page(counted)
    assert {name: value for name, value in found.items() if name.startswith("gateway_requests_total")} == {
        'gateway_requests_total{api="one",status="200"}': 2,
        'gateway_requests_total{api="one",status="404"}': 1,
        'gateway_requests_total{api="one",status="502"}': 1,
        'gateway_requests_total{api="two",status="200"}': 1,
        'gateway_requests_total{api="(none)",status="404"}': 1,
    }
    assert [(status, size) for status, size, _ in written] == [(200, 7), (200, 7), (404, 7), (502, 7), (200, 7), (404, 7)]


def test_how_long_they_took(counted: Requests, written: Written) -> None:
    for spent in (0.0, 0.2, 0.2, 500.0):
        answer(counted, "one", 200, spent)
    found = page(counted)
    below = {bound: found[f'gateway_request_seconds_bucket{{api="one",le="{bound}"}}'] for bound in ("0.1", "0.25", "120.0", "+Inf")}
    assert below == {"0.1": 1, "0.25": 3, "120.0": 3, "+Inf": 4}
    assert found['gateway_request_seconds_count{api="one"}'] == 4
    assert 500.4 <= found['gateway_request_seconds_sum{api="one"}'] < 510
    assert written[3][2] >= 500, "the log is told the same"


def test_a_tunnel_is_counted_and_its_length_is_not(counted: Requests) -> None:
    answer(counted, "one", 101, 3600.0)
    answer(counted, "one", 200)
    found = page(counted)
    assert found['gateway_requests_total{api="one",status="101"}'] == 1
    assert found['gateway_request_seconds_count{api="one"}'] == 1
    assert found['gateway_request_seconds_sum{api="one"}'] < 10


def test_refusals_by_their_code(counted: Requests) -> None:
    for _ in range(2):
        answer(counted, "one", 429, refused="quota-exceeded")
    answer(counted, "one", 504, refused="upstream-timeout")
    counted.unreadable(400, "bad-header")
    found = page(counted)
    assert found['gateway_refusals_total{api="one",code="quota-exceeded"}'] == 2
    assert found['gateway_refusals_total{api="one",code="upstream-timeout"}'] == 1
    assert found['gateway_refusals_total{api="(none)",code="bad-header"}'] == 1
    assert found['gateway_requests_total{api="(none)",status="400"}'] == 1


def test_there_are_only_so_many_series(counted: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_MOST_APIS", 3)
    for number in range(10):
        answer(counted, f"api-{number}", 200)
    found = {name: value for name, value in page(counted).items() if name.startswith("gateway_requests_total")}
    assert len(found) == 4
    assert found['gateway_requests_total{api="(other)",status="200"}'] == 7
