"""Bodies that are too large: for a version, for a path, with and without a length."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.middleware.size_limit import SizeLimits, body_limit
from services.gateway.refusals import BODY_TOO_LARGE, LENGTH_REQUIRED
from tests.unit.gateway.exchanges import ask, definition, exchange, ports, refusal


def rule(*paths: tuple[str, str, int], limit: int = 0) -> Any:
    entries = [{"path": path, "method": method, "size_limit": size} for path, method, size in paths]
    version = {"global_size_limit": limit, "use_extended_paths": True, "extended_paths": {"size_limits": entries}}
    return SizeLimits.from_definition(definition(version=version), ports())


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
    check = SizeLimits.from_definition(definition(version=version), ports())
    refusal(check, exchange("POST", "/api/SMALL", body_length=11), BODY_TOO_LARGE)


def versions(**limits: int) -> dict[str, Any]:
    found = {name: {"name": name, "global_size_limit": limit} for name, limit in limits.items()}
    return {"version_data": {"versions": found}, "definition": {"location": "header", "key": "v"}}


def test_every_version_has_its_own() -> None:
    check = SizeLimits.from_definition(definition(**versions(v1=10, v2=20)), ports())
    refusal(check, exchange("POST", body_length=11, version="v1"), BODY_TOO_LARGE)
    assert ask(check, exchange("POST", body_length=11, version="v2")) is None
    refusal(check, exchange("POST", body_length=-1, version="v1"), LENGTH_REQUIRED)
    assert ask(check, exchange("POST", body_length=-1, version="v2")) is None, "20 is what is counted while it streams"


def test_where_a_streamed_body_is_cut_off() -> None:
    assert body_limit(definition(**versions(v1=10, v2=20))) == 20
    assert body_limit(definition(**versions(v1=10, v2=0))) is None
    assert body_limit(definition(version={"global_size_limit": 7})) == 7
    assert body_limit(definition()) is None
    several = {"not_versioned": True, "versions": {"x": {"name": "x", "global_size_limit": 9}, "Default": {"name": "Default"}}}
    assert body_limit(definition(version_data=several)) is None, "only the version in use counts"
