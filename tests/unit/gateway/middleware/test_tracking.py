"""Which endpoints are recorded."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.middleware import tracking
from tests.unit.gateway.exchanges import ask, built, exchange, mistakes, ports


def rule(**lists: list[dict[str, Any]]) -> Any:
    return built(tracking, ports(), version={"use_extended_paths": True, "extended_paths": lists})


def test_without_entries_it_is_not_in_the_chain() -> None:
    assert rule() is None
    assert rule(track_endpoints=[], do_not_track_endpoints=[{"path": "/", "disabled": True}]) is None


@pytest.mark.parametrize(
    ("method", "path", "tracked"),
    [("GET", "/seen", True), ("POST", "/seen", None), ("GET", "/seen/not", False), ("PUT", "/else/not", False), ("GET", "/else", None)],
)
def test_what_is_not_recorded_comes_first(method: str, path: str, tracked: bool | None) -> None:
    asked = exchange(method, f"/api{path}")
    both = rule(track_endpoints=[{"path": "^/seen", "method": "GET"}], do_not_track_endpoints=[{"path": "/not$"}])
    assert ask(both, asked) is None
    assert asked.tracked is tracked


def test_a_method_that_is_wrong() -> None:
    version = {"use_extended_paths": True, "extended_paths": {"track_endpoints": [{"path": "/", "method": "get"}]}}
    assert mistakes(tracking, version=version) == ["/version_data/versions/Default/extended_paths/track_endpoints/0/method"]
