"""Less or more time for single endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.exchange import Timeouts
from services.gateway.middleware import hard_timeouts
from services.gateway.middleware.hard_timeouts import HardTimeout
from tests.unit.gateway.exchanges import ask, built, document, exchange, mistakes, ports, spec


def rule(*paths: tuple[str, str, float], timeouts: dict[str, float] | None = None, **version: Any) -> Any:
    entries = [{"path": path, "method": method, "timeout": seconds} for path, method, seconds in paths]
    proxy = {**document()["proxy"], "timeouts": timeouts or {}}
    version = {"use_extended_paths": True, "extended_paths": {"hard_timeouts": entries}, **version}
    return built(hard_timeouts, ports(), version=version, proxy=proxy)


def test_without_entries_it_is_not_in_the_chain() -> None:
    assert rule() is None
    assert rule(("/a", "GET", 1), use_extended_paths=False) is None


def test_a_version_without_regard_to_case() -> None:
    request = exchange("GET", "/api/SLOW")
    assert ask(rule(("/slow$", "GET", 120), ignore_endpoint_case=True), request) is None
    assert request.timeouts == Timeouts(5.0, 120.0, 60.0)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/slow", Timeouts(5.0, 120.0, 60.0)),
        ("POST", "/slow", None),
        ("POST", "/fast", Timeouts(0.5, 0.5, 60.0)),
        ("GET", "/fast", Timeouts(0.5, 0.5, 60.0)),
        ("GET", "/fast/7/slow", Timeouts(5.0, 120.0, 60.0)),
        ("GET", "/other", None),
    ],
)
def test_the_first_entry_that_matches_decides(method: str, path: str, expected: Timeouts | None) -> None:
    """The time is for the first byte; connecting may not take longer either."""
    request = exchange(method, f"/api{path}")
    assert ask(rule(("/slow$", "GET", 120), ("^/fast", "", 0.5)), request) is None
    assert request.timeouts == expected


def test_the_other_times_are_those_of_the_api() -> None:
    request = exchange(target="/api/a")
    ask(rule(("/a", "", 30), timeouts={"connect": 2, "first_byte": 9, "idle": 7}), request)
    assert request.timeouts == Timeouts(2.0, 30.0, 7.0)


def test_each_limit_knows_where_it_is_set() -> None:
    own, usual, hard = (
        "set by `proxy.timeouts.connect`",
        "the default of `proxy.timeouts.connect`",
        "set by `extended_paths.hard_timeouts` of the version `Default`",
    )
    for seconds, timeouts, connect in ((30.0, {}, usual), (30.0, {"connect": 4}, own), (0.5, {}, hard)):
        request = exchange(target="/api/a")
        ask(rule(("/a", "", seconds), timeouts=timeouts), request)
        assert request.timeouts is not None
        assert (request.timeouts.connect_set_by, request.timeouts.first_byte_set_by) == (connect, hard)
        assert request.timeouts.idle_set_by == "the default of `proxy.timeouts.idle`"


def test_a_version_without_entries() -> None:
    request = exchange(target="/api/a", version="other")
    ask(rule(("/a", "", 30)), request)
    assert request.timeouts is None


VERSION = "/version_data/versions/Default"


def wrong(**version: Any) -> list[str]:
    """Where a version has mistakes, below the version."""
    return [pointer.removeprefix(VERSION) for pointer in mistakes(hard_timeouts, version=version)]


def test_times_that_are_switched_off() -> None:
    paths = {"hard_timeouts": [{"disabled": True, "timeout": 0}]}
    assert spec(hard_timeouts, version={"use_extended_paths": True, "extended_paths": paths}) is None


def test_times() -> None:
    paths = {"hard_timeouts": [{"path": "/a", "method": "GET", "timeout": 0.5}, {"path": "/b", "timeout": 90}]}
    found = spec(hard_timeouts, version={"use_extended_paths": True, "extended_paths": paths, "path_matching": "exact"})
    ((version, entries),) = found.versions
    assert entries == (HardTimeout("/a", "GET", 0.5), HardTimeout("/b", "", 90.0))
    assert version.path_matching == "exact"
    assert spec(hard_timeouts, version={"extended_paths": paths}) is None


@pytest.mark.parametrize(
    ("paths", "pointer"),
    [
        ({"hard_timeouts": [{"path": "/a", "timeout": 0}]}, "/extended_paths/hard_timeouts/0/timeout"),
        ({"hard_timeouts": [{"path": "/a", "timeout": -1}]}, "/extended_paths/hard_timeouts/0/timeout"),
        ({"hard_timeouts": [{"path": "/a"}]}, "/extended_paths/hard_timeouts/0/timeout"),
        ({"hard_timeouts": [{"path": "/a", "timeout": 1, "method": "get"}]}, "/extended_paths/hard_timeouts/0/method"),
        ({"hard_timeouts": [{"path": "(", "timeout": 1}]}, "/extended_paths/hard_timeouts/0/path"),
    ],
)
def test_times_that_are_wrong(paths: dict[str, Any], pointer: str) -> None:
    assert pointer in wrong(use_extended_paths=True, extended_paths=paths)


def test_one_mistake_is_said_once() -> None:
    entry = {"path": "/a", "timeout": -1}
    assert len(wrong(use_extended_paths=True, extended_paths={"hard_timeouts": [entry]})) == 1
