"""What a client is told of its limits, without being charged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.gateway.counters.memory import MemoryCounters
from services.gateway.counters.windows import Clocks
from services.gateway.middleware import rate_limit_status
from tests.unit.gateway.exchanges import LateCounters, Time, ask, built, exchange, make_key, ports

PATH = "/api/tyk/rate-limits/"
SESSION = {"rate": 5, "per": 60, "quota_max": 10, "quota_renewal_rate": 3600}


def told(rule: Any, **session: Any) -> Any:
    answer = ask(rule, exchange(target=PATH, key=make_key(**session)))
    assert answer is not None
    assert (answer.status, answer.headers) == (200, [(b"Content-Type", b"application/json")])
    return json.loads(answer.body)


def test_keyless_apis_have_nothing_to_tell() -> None:
    assert built(rate_limit_status, ports(), use_keyless=True) is None


@pytest.mark.parametrize("later", [False, True])
def test_what_is_left(later: bool) -> None:
    time = Time()
    counters = MemoryCounters(clocks=Clocks(time, time))
    rule = built(rate_limit_status, ports(counters=LateCounters(counters) if later else counters))
    unused = {
        "quota": {"quota_max": 10, "quota_remaining": 10, "quota_renews": time.now + 3600},
        "rate_limit": {"requests": 5, "per_unit": 60},
    }
    for _ in range(3):
        assert told(rule, **SESSION) == unused, "asking costs nothing"
    ends = int(time.now + 3600)
    for _ in range(4):
        counters.take("q:key-1", 10, 3600, True)
    time.now += 60
    assert told(rule, **SESSION)["quota"] == {"quota_max": 10, "quota_remaining": 6, "quota_renews": ends}
    time.now += 3600
    assert told(rule, **SESSION)["quota"]["quota_remaining"] == 10


def test_without_limits() -> None:
    rule = built(rate_limit_status, ports())
    assert told(rule) == {
        "quota": {"quota_max": -1, "quota_remaining": -1, "quota_renews": 0},
        "rate_limit": {"requests": 0, "per_unit": 0},
    }
    assert told(rule, rate=0.5, per=1.5)["rate_limit"] == {"requests": 0.5, "per_unit": 1.5}
    assert told(rule, quota_max=3)["quota"] == {"quota_max": 3, "quota_remaining": 3, "quota_renews": 0}


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", PATH),
        ("GET", "/api/tyk/rate-limits"),
        ("GET", "/api/x/tyk/rate-limits/"),
        ("GET", "/api/tyk%2Frate-limits/"),
        ("GET", "/api/"),
    ],
)
def test_everything_else_goes_on(method: str, target: str) -> None:
    rule = built(rate_limit_status, ports())
    assert ask(rule, exchange(method, target, key=make_key(**SESSION))) is None


def test_head_is_answered_like_get() -> None:
    rule = built(rate_limit_status, ports())
    assert ask(rule, exchange("HEAD", PATH, key=make_key())) is not None
