"""Answered requests, counted by API: what the page of metrics says of them."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.common.metrics import board
from services.common.metrics.families import Families
from services.gateway.observe import tallies
from services.gateway.observe.requests import Requests
from services.gateway.observe.tallies import Tallies
from tests.unit.gateway.exchanges import exchange

Written = list[tuple[int, int, float]]


@pytest.fixture
def written() -> Written:
    return []


@pytest.fixture
def counted(written: Written) -> Tallies:
    return Tallies(lambda one, status, size, _, now: written.append((status, size, now - one.started)))


def answer(counted: Tallies, api_id: str | None, status: int, spent: float = 0.0, refused: str = "") -> None:
    """Have a request answered that came `spent` seconds ago."""
    one = exchange()
    api: Any = None if api_id is None else SimpleNamespace(api_id=api_id)
    one.api, one.refused = api, refused
    one.started -= spent
    counted.answered(one, status, 7)


def page(counted: Tallies) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(Requests(counted))
    return {name: float(value) for name, value in re.findall(r"^(gateway_\S+) (\S+)$", generate_latest(registry).decode(), re.MULTILINE)}


def test_by_api_and_status(counted: Tallies, written: Written) -> None:
    for status in (200, 200, 404, 502):
        answer(counted, "one", status)
    answer(counted, "two", 200)
    answer(counted, None, 404)
    found = page(counted)
    assert {name: value for name, value in found.items() if name.startswith("gateway_requests_total")} == {
        'gateway_requests_total{api="one",method="GET",status="200"}': 2,
        'gateway_requests_total{api="one",method="GET",status="404"}': 1,
        'gateway_requests_total{api="one",method="GET",status="502"}': 1,
        'gateway_requests_total{api="two",method="GET",status="200"}': 1,
        'gateway_requests_total{api="(none)",method="GET",status="404"}': 1,
    }
    assert [(status, size) for status, size, _ in written] == [(200, 7), (200, 7), (404, 7), (502, 7), (200, 7), (404, 7)]


def test_how_long_they_took(counted: Tallies, written: Written) -> None:
    for spent in (0.0, 0.2, 0.2, 500.0):
        answer(counted, "one", 200, spent)
    found = page(counted)
    below = {bound: found[f'gateway_request_seconds_bucket{{api="one",le="{bound}"}}'] for bound in ("0.1", "0.25", "120.0", "+Inf")}
    assert below == {"0.1": 1, "0.25": 3, "120.0": 3, "+Inf": 4}
    assert found['gateway_request_seconds_count{api="one"}'] == 4
    assert 500.4 <= found['gateway_request_seconds_sum{api="one"}'] < 510
    assert written[3][2] >= 500, "the log is told the same"


def test_a_tunnel_is_counted_and_its_length_is_not(counted: Tallies) -> None:
    answer(counted, "one", 101, 3600.0)
    answer(counted, "one", 200)
    found = page(counted)
    assert found['gateway_requests_total{api="one",method="GET",status="101"}'] == 1
    assert found['gateway_request_seconds_count{api="one"}'] == 1
    assert found['gateway_request_seconds_sum{api="one"}'] < 10


def test_refusals_by_their_code(counted: Tallies) -> None:
    for _ in range(2):
        answer(counted, "one", 429, refused="quota-exceeded")
    answer(counted, "one", 504, refused="upstream-timeout")
    counted.unreadable(400, "bad-header")
    found = page(counted)
    assert found['gateway_refusals_total{api="one",code="quota-exceeded"}'] == 2
    assert found['gateway_refusals_total{api="one",code="upstream-timeout"}'] == 1
    assert found['gateway_refusals_total{api="(none)",code="bad-header"}'] == 1
    assert found['gateway_requests_total{api="(none)",method="other",status="400"}'] == 1


def test_methods_that_anybody_may_invent_are_one(counted: Tallies) -> None:
    for number, method in enumerate(("GET", "PUT", "BREW", "PROPFIND", "X" * 9000)):
        one = exchange(method)
        one.api = SimpleNamespace(api_id="one")  # type: ignore[assignment]
        counted.answered(one, 200 + number % 2, 1)
    found = {name for name in page(counted) if name.startswith("gateway_requests_total")}
    labels = {("GET", "200"), ("PUT", "201"), ("other", "200"), ("other", "201")}
    assert found == {f'gateway_requests_total{{api="one",method="{method}",status="{status}"}}' for method, status in labels}


def asked(counted: Tallies, *, status: int = 200, ago: float = 0.0, first_byte: float | None = None, connecting: float = 0.0) -> None:
    """Have a request answered whose upstream was asked `ago` seconds ago. first_byte: seconds after that, None = it did not answer."""
    one = exchange()
    one.api = SimpleNamespace(api_id="one")  # type: ignore[assignment]
    one.started -= ago + 1.0
    one.asked = one.started + 1.0
    one.first_byte = 0.0 if first_byte is None else one.asked + first_byte
    one.connecting = connecting
    counted.answered(one, status, 10, SimpleNamespace(received=5))


def test_how_long_upstreams_took(counted: Tallies) -> None:
    asked(counted, ago=2.0, first_byte=0.2, connecting=0.05)
    asked(counted, ago=2.0, first_byte=0.003)
    asked(counted, ago=4.0, status=504)
    answer(counted, "one", 403)
    found = page(counted)
    below = {
        bound: found[f'gateway_upstream_first_byte_seconds_bucket{{api="one",le="{bound}"}}']
        for bound in ("0.0025", "0.005", "0.25", "+Inf")
    }
    assert below == {"0.0025": 0, "0.005": 1, "0.25": 2, "+Inf": 2}
    assert found['gateway_upstream_first_byte_seconds_sum{api="one"}'] == pytest.approx(0.203)
    assert 8 <= found['gateway_upstream_seconds_total{api="one"}'] < 18
    assert found['gateway_upstream_connects_total{api="one"}'] == 1
    assert found['gateway_upstream_connect_seconds_total{api="one"}'] == pytest.approx(0.05)
    assert found['gateway_request_seconds_count{api="one"}'] == 4, "an upstream that is asked counts once"


def test_a_tunnel_is_not_the_time_of_an_upstream(counted: Tallies) -> None:
    asked(counted, status=101, ago=3600.0, first_byte=0.2)
    found = page(counted)
    assert found['gateway_upstream_seconds_total{api="one"}'] == 0
    assert found['gateway_upstream_first_byte_seconds_count{api="one"}'] == 1


def test_bytes_both_ways(counted: Tallies) -> None:
    asked(counted)
    asked(counted)
    answer(counted, "one", 404)
    found = page(counted)
    assert found['gateway_received_bytes_total{api="one"}'] == 10
    assert found['gateway_sent_bytes_total{api="one"}'] == 27


def test_an_api_without_an_upstream_has_no_histogram_of_it(counted: Tallies) -> None:
    answer(counted, "one", 403)
    assert not [name for name in page(counted) if name.startswith("gateway_upstream_first_byte_seconds_")]


def test_there_are_only_so_many_series(counted: Tallies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "_MOST_APIS", 3)
    for number in range(10):
        answer(counted, f"api-{number}", 200)
    found = {name: value for name, value in page(counted).items() if name.startswith("gateway_requests_total")}
    assert len(found) == 4
    assert found['gateway_requests_total{api="(other)",method="GET",status="200"}'] == 7


def test_all_apis_fit_on_the_board_of_the_workers(counted: Tallies) -> None:
    for number in range(50):
        for status, refused in ((200, ""), (201, ""), (404, ""), (429, "quota-exceeded"), (502, "upstream-unreachable")):
            answer(counted, f"an-api-with-a-long-name-{number}", status, refused=refused)
            one = exchange("POST")
            one.api = SimpleNamespace(api_id=f"an-api-with-a-long-name-{number}")  # type: ignore[assignment]
            one.asked = one.first_byte = one.started
            counted.answered(one, status, 1)
    assert len(Families(Requests(counted).collect()).packed()) * tallies._MOST_APIS / 50 < board._PLACE
