"""Paths that only other APIs may call."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.middleware import internal_paths
from services.gateway.refusals import ENDPOINT_FORBIDDEN
from tests.unit.gateway.exchanges import ask, built, exchange, mistakes, ports, refusal


def rule(*entries: dict[str, Any], **version: Any) -> Any:
    return built(internal_paths, ports(), version={"use_extended_paths": True, "extended_paths": {"internal": list(entries)}, **version})


def test_without_entries_it_is_not_in_the_chain() -> None:
    assert rule() is None
    assert rule({"path": "/a", "disabled": True}) is None


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/in/a"), ("GET", "/in%2Fa"), ("GET", "/x%2F..%2Fin/a"), ("POST", "/all"), ("GET", "/all")]
)
def test_they_are_closed_in_all_of_their_readings(method: str, path: str) -> None:
    refusal(rule({"path": "^/in/", "method": "GET"}, {"path": "^/all"}), exchange(method, f"/api{path}"), ENDPOINT_FORBIDDEN)


def test_all_others_are_open() -> None:
    closed = rule({"path": "^/in/", "method": "GET"})
    assert ask(closed, exchange("POST", "/api/in/a")) is None
    assert ask(closed, exchange("GET", "/api/other")) is None
    assert ask(closed, exchange("GET", "/api/in/a", version="other")) is None


def test_a_pattern_that_is_wrong() -> None:
    version = {"use_extended_paths": True, "extended_paths": {"internal": [{"path": "(", "method": "GET"}]}}
    assert mistakes(internal_paths, version=version) == ["/version_data/versions/Default/extended_paths/internal/0/path"]
