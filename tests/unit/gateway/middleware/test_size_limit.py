"""Bodies that are too large: for a version, for a path, with and without a length."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.middleware import size_limit
from services.gateway.middleware.size_limit import SizeLimit
from services.gateway.refusals import BODY_TOO_LARGE, LENGTH_REQUIRED
from tests.unit.gateway.exchanges import ask, built, exchange, mistakes, ports, refusal, spec


def rule(*paths: tuple[str, str, int], limit: int = 0) -> Any:
    entries = [{"path": path, "method": method, "size_limit": size} for path, method, size in paths]
    version = {"global_size_limit": limit, "use_extended_paths": True, "extended_paths": {"size_limits": entries}}
    return built(size_limit, ports(), version=version)


def test_without_limits_it_is_not_in_the_chain() -> None:
    assert rule() is None


def test_a_limit_for_every_path() -> None:
    check = rule(limit=100)
    for length in (0, 1, 100):
        assert ask(check, exchange("POST", body_length=length)) is None
    told = refusal(check, exchange("POST", body_length=101), BODY_TOO_LARGE)
    assert told.detail == "The body has 101 bytes; 100 are allowed here."


def test_a_streamed_body_may_start_where_it_is_counted() -> None:
    assert ask(rule(limit=100), exchange("POST", body_length=-1)) is None


def test_a_streamed_body_needs_a_length_where_another_limit_holds() -> None:
    check = rule(("^/small", "POST", 10), limit=100)
    told = refusal(check, exchange("POST", "/api/small", body_length=-1), LENGTH_REQUIRED)
    assert "10 bytes" in (told.detail or "")
    assert ask(check, exchange("POST", "/api/other", body_length=-1)) is None
    assert ask(check, exchange("POST", "/api/small", body_length=0)) is None, "no body needs no length"


@pytest.mark.parametrize(
    ("method", "path", "length", "good"),
    [
        ("POST", "/small", 10, True),
        ("POST", "/small", 11, False),
        ("PUT", "/small", 100, True),
        ("PUT", "/small", 101, False),
        ("PUT", "/any", 20, True),
        ("GET", "/any", 21, False),
        ("POST", "/large", 100, True),
        ("POST", "/large", 101, False),
        ("POST", "/sm%61ll", 11, False),
        ("POST", "/x%2F..%2Fsmall", 11, False),
        ("POST", "/x%5C..%5Csmall", 11, False),
        ("POST", "/x%2F..%2Fsmall", 10, True),
    ],
)
def test_both_limits_hold(method: str, path: str, length: int, good: bool) -> None:
    check = rule(("^/small$", "POST", 10), ("^/any$", "", 20), ("^/large$", "POST", 1000), limit=100)
    request = exchange(method, f"/api{path}", body_length=length)
    if good:
        assert ask(check, request) is None
    else:
        refusal(check, request, BODY_TOO_LARGE)


def test_paths_alone() -> None:
    check = rule(("^/small$", "POST", 10))
    assert ask(check, exchange("POST", "/api/other", body_length=10**9)) is None
    refusal(check, exchange("POST", "/api/small", body_length=11), BODY_TOO_LARGE)
    refusal(check, exchange("POST", "/api/small", body_length=-1), LENGTH_REQUIRED)


def test_a_version_without_regard_to_case() -> None:
    limit = {"path": "^/small$", "method": "POST", "size_limit": 10}
    version = {"use_extended_paths": True, "ignore_endpoint_case": True, "extended_paths": {"size_limits": [limit]}}
    check = built(size_limit, ports(), version=version)
    refusal(check, exchange("POST", "/api/SMALL", body_length=11), BODY_TOO_LARGE)


def versions(**limits: int) -> dict[str, Any]:
    found = {name: {"name": name, "global_size_limit": limit} for name, limit in limits.items()}
    return {"version_data": {"versions": found}, "definition": {"location": "header", "key": "v"}}


def test_every_version_has_its_own() -> None:
    check = built(size_limit, ports(), **versions(v1=10, v2=20))
    refusal(check, exchange("POST", body_length=11, version="v1"), BODY_TOO_LARGE)
    assert ask(check, exchange("POST", body_length=11, version="v2")) is None
    refusal(check, exchange("POST", body_length=-1, version="v1"), LENGTH_REQUIRED)
    assert ask(check, exchange("POST", body_length=-1, version="v2")) is None, "20 is what is counted while it streams"


def body_limit(**more: Any) -> int | None:
    found = spec(size_limit, **more)
    return None if found is None else found.streamed


def test_where_a_streamed_body_is_cut_off() -> None:
    assert body_limit(**versions(v1=10, v2=20)) == 20
    assert body_limit(**versions(v1=10, v2=0)) is None
    assert body_limit(version={"global_size_limit": 7}) == 7
    assert body_limit() is None
    several = {"not_versioned": True, "versions": {"x": {"name": "x", "global_size_limit": 9}, "Default": {"name": "Default"}}}
    assert body_limit(version_data=several) is None, "only the version in use counts"


VERSION = "/version_data/versions/Default"


def wrong(**version: Any) -> list[str]:
    """Where a version has mistakes, below the version."""
    return [pointer.removeprefix(VERSION) for pointer in mistakes(size_limit, version=version)]


def test_sizes_that_are_switched_off() -> None:
    paths = {"size_limits": [{"disabled": True, "path": "/a", "size_limit": 5}]}
    assert spec(size_limit, version={"use_extended_paths": True, "extended_paths": paths}) is None


def test_sizes() -> None:
    paths = {"size_limits": [{"path": "/a", "method": "POST", "size_limit": 5}, {"path": "/b", "method": None, "size_limit": 6}]}
    fields = {"use_extended_paths": True, "extended_paths": paths, "global_size_limit": 7, "path_matching": "exact"}
    ((version, overall, entries),) = spec(size_limit, version=fields).versions
    assert entries == (SizeLimit("/a", "POST", 5), SizeLimit("/b", "", 6))
    assert (overall, version.path_matching) == (7, "exact")
    assert spec(size_limit, version={"extended_paths": paths}) is None
    assert spec(size_limit, version={"global_size_limit": 7, "global_size_limit_disabled": True}) is None
    assert wrong(global_size_limit=-1) == ["/global_size_limit"]


@pytest.mark.parametrize(
    ("paths", "pointer"),
    [
        ({"size_limits": [{"path": "/a", "size_limit": 0}]}, "/extended_paths/size_limits/0/size_limit"),
        ({"size_limits": [{"path": "/a", "size_limit": 1.5}]}, "/extended_paths/size_limits/0/size_limit"),
        ({"size_limits": [{"size_limit": 5}]}, "/extended_paths/size_limits/0/path"),
        ({"size_limits": [5]}, "/extended_paths/size_limits/0"),
    ],
)
def test_sizes_that_are_wrong(paths: dict[str, Any], pointer: str) -> None:
    assert pointer in wrong(use_extended_paths=True, extended_paths=paths)


def test_one_mistake_is_said_once() -> None:
    entry = {"path": "/a", "size_limit": -1}
    assert len(wrong(use_extended_paths=True, extended_paths={"size_limits": [entry]})) == 1
