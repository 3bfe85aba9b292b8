"""Breakers of single endpoints: when they open, what they let through, when they close, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.exchange import Exchange
from services.gateway.middleware import circuit_breaker
from services.gateway.middleware.circuit_breaker import Entry
from services.gateway.refusals import CIRCUIT_OPEN
from tests.unit.gateway.exchanges import Time, Told, ask, built, exchange, mistakes, ports, refusal, spec

ENTRY = {"path": "^/x", "method": "GET", "threshold_percent": 0.5, "samples": 4, "return_to_service_after": 10}


def version(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"use_extended_paths": True, "extended_paths": {"circuit_breakers": list(entries)}}


class Upstream:
    """What goes to the upstream through a chain that has only the breakers. told: the events."""

    def __init__(self, *entries: dict[str, Any], **more: Any) -> None:
        self.time = Time()
        self.told: list[Told] = []
        outside = ports(time=self.time, told=self.told)
        self.rule = built(circuit_breaker, outside, version=version(*(entries or ({**ENTRY, **more},))))

    def begin(self, method: str = "GET", path: str = "/x") -> Exchange:
        """Let a request pass, without an answer so far."""
        request = exchange(method, f"/api{path}")
        assert ask(self.rule, request) is None
        return request

    def answer(self, *statuses: int, method: str = "GET", path: str = "/x") -> None:
        """Let requests pass; they are answered with these statuses, 0 = not at all."""
        for status in statuses:
            end(self.begin(method, path), status)

    def refused(self, method: str = "GET", path: str = "/x") -> int:
        """The seconds that a refused client is told to wait."""
        found = refusal(self.rule, exchange(method, f"/api{path}"), CIRCUIT_OPEN)
        ((name, value),) = found.headers
        assert name == b"Retry-After"
        return int(value)

    @property
    def events(self) -> list[str]:
        return [one.name for one in self.told]


def end(request: Exchange, status: int) -> None:
    assert request.outcome is not None
    request.outcome(request, status)


def test_without_entries_it_is_not_in_the_chain() -> None:
    assert spec(circuit_breaker) is None
    assert spec(circuit_breaker, version=version({**ENTRY, "disabled": True, "samples": -1})) is None
    assert spec(circuit_breaker, version={**version(ENTRY), "use_extended_paths": False}) is None


@pytest.mark.parametrize("failure", [0, 500, 503, 599])
def test_it_opens_when_enough_of_the_last_requests_failed(failure: int) -> None:
    upstream = Upstream()
    upstream.answer(200, failure, 200, failure)
    assert upstream.refused() == 1


@pytest.mark.parametrize("statuses", [(500, 500, 500), (500, 200, 200, 200, 500, 200), (400, 404, 429, 499, 400)])
def test_it_stays_closed(statuses: tuple[int, ...]) -> None:
    upstream = Upstream()
    upstream.answer(*statuses)
    upstream.answer(200)
    assert upstream.events == []


def test_only_the_last_requests_count() -> None:
    upstream = Upstream(threshold_percent=1, samples=3)
    upstream.answer(*([200, 500, 500] * 10))
    assert upstream.events == []
    upstream.answer(500)
    upstream.refused()


def test_other_endpoints_are_not_concerned() -> None:
    upstream = Upstream({**ENTRY, "samples": 1}, {**ENTRY, "path": "^/y", "method": "", "samples": 1})
    upstream.answer(500)
    upstream.answer(500, path="/y")
    upstream.refused("DELETE", "/y")
    for method, path in (("POST", "/x"), ("GET", "/z")):
        request = exchange(method, f"/api{path}")
        assert ask(upstream.rule, request) is None
        assert request.outcome is None


def test_no_spelling_of_a_path_avoids_an_open_breaker() -> None:
    upstream = Upstream(path="^/a/x$")
    upstream.answer(500, 500, 500, 500, path="/a/x")
    assert upstream.refused(path="/a%2Fx") == 1


def test_versions_have_breakers_of_their_own() -> None:
    upstream = Upstream(samples=1)
    upstream.answer(500)
    assert ask(upstream.rule, exchange(target="/api/x", version="other")) is None


def test_one_is_let_through_after_a_pause_and_closes_it_when_it_succeeds() -> None:
    upstream = Upstream()
    upstream.answer(500, 500, 500, 500)
    upstream.time.now += 0.5
    trial = upstream.begin()
    upstream.refused()
    end(trial, 200)
    upstream.answer(200, 500, 500)  # it has forgotten what was before
    assert upstream.events == ["BreakerTripped", "BreakerTriggered", "BreakerReset", "BreakerTriggered"]


def test_the_pauses_grow_up_to_the_time_of_the_definition() -> None:
    upstream = Upstream(samples=1, return_to_service_after=2)
    upstream.answer(0)
    for pause in (0.5, 0.75, 1.125, 1.6875, 2.0, 2.0):
        upstream.time.now += pause - 0.01
        upstream.refused()
        upstream.time.now += 0.01
        upstream.answer(502)
    assert upstream.events == ["BreakerTripped", "BreakerTriggered"]


def test_one_that_never_tells_how_it_ended_does_not_keep_the_others_out() -> None:
    upstream = Upstream(samples=1)
    upstream.answer(500)
    upstream.time.now += 0.5
    upstream.begin()
    upstream.refused()
    upstream.time.now += 0.75
    upstream.answer(200)
    upstream.answer(200)
    assert upstream.events[2:] == ["BreakerReset", "BreakerTriggered"]


def test_requests_that_were_on_their_way_when_it_opened_neither_close_nor_trip_it() -> None:
    upstream = Upstream(samples=2)
    early = [upstream.begin() for _ in range(4)]
    upstream.answer(500, 500)
    for request, status in zip(early, (200, 500, 500, 200), strict=True):
        end(request, status)
    upstream.refused()
    assert upstream.events == ["BreakerTripped", "BreakerTriggered"]


def test_without_the_half_open_state_it_lets_nothing_through_before_its_time() -> None:
    upstream = Upstream(samples=2, disable_half_open_state=True)
    upstream.answer(500, 500)
    assert upstream.refused() == 10
    upstream.time.now += 9.5
    assert upstream.refused() == 1
    upstream.time.now += 0.5
    upstream.answer(500)
    assert upstream.events[2:] == ["BreakerReset", "BreakerTriggered"]
    upstream.answer(500)
    assert upstream.refused() == 10


def test_what_the_events_say() -> None:
    upstream = Upstream(samples=1)
    upstream.answer(500)
    tripped, triggered = upstream.told
    said = {"Message": "Breaker Tripped", "Path": "^/x", "CircuitEvent": "0", "APIID": "", "Key": ""}
    assert tripped.metadata == triggered.metadata == said


def test_fields() -> None:
    found = spec(
        circuit_breaker, version=version({**ENTRY, "disable_half_open_state": True}, {**ENTRY, "method": "", "threshold_percent": 1})
    )
    ((_, entries),) = found.versions
    assert entries == (Entry("^/x", "GET", 0.5, 4, 10.0, False), Entry("^/x", "", 1.0, 4, 10.0, True))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"threshold_percent": 0}, "threshold_percent"),
        ({"threshold_percent": 50}, "threshold_percent"),
        ({"threshold_percent": -0.1}, "threshold_percent"),
        ({"samples": 0}, "samples"),
        ({"samples": 2.5}, "samples"),
        ({"samples": 10_001}, "samples"),
        ({"return_to_service_after": 0}, "return_to_service_after"),
        ({"return_to_service_after": -1}, "return_to_service_after"),
        ({"method": "get"}, "method"),
        ({"path": "("}, "path"),
    ],
)
def test_mistakes(wrong: dict[str, Any], field: str) -> None:
    found = mistakes(circuit_breaker, version=version({**ENTRY, **wrong}))
    assert found == [f"/version_data/versions/Default/extended_paths/circuit_breakers/0/{field}"]
