"""A key's quota: exactly so many requests from its first use, what is announced, and what is not charged."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest

from services.gateway.counters import resp
from services.gateway.counters.memory import MemoryCounters
from services.gateway.counters.valkey import ValkeyCounters
from services.gateway.counters.windows import Clocks
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key
from services.gateway.middleware import quota, rate_limit
from services.gateway.refusals import QUOTA_EXCEEDED, Refusal
from services.gateway.wire.heads.grammar import Header
from tests.support.stores import Valkey
from tests.unit.gateway.counters.asking import started
from tests.unit.gateway.exchanges import LateCounters, Time, Told, ask, built, exchange, make_key, ports, refusal


def headers(limit: int, remaining: int, reset: float) -> tuple[tuple[bytes, bytes], ...]:
    values = (b"Limit", limit), (b"Remaining", remaining), (b"Reset", int(reset))
    return tuple((b"X-RateLimit-%b" % name, b"%d" % value) for name, value in values)


class World:
    """The built middleware, its counters and their clock. later: whether the counters answer later."""

    def __init__(self, later: bool = False, **fields: Any) -> None:
        self.time = Time()
        self.counters = MemoryCounters(clocks=Clocks(self.time, self.time))
        asked: Any = LateCounters(self.counters) if later else self.counters
        self.told: list[Told] = []
        self.rule: Any = built(quota, ports(counters=asked, time=self.time, told=self.told), **fields)

    def admitted(self, times: int, key: Key) -> int:
        found = 0
        for _ in range(times):
            try:
                ask(self.rule, exchange(key=key))
                found += 1
            except Refusal:
                pass
        return found


@pytest.mark.parametrize("fields", [{"use_keyless": True}, {"disable_quota": True}])
def test_where_no_quota_can_be(fields: dict[str, Any]) -> None:
    request = exchange(key=make_key(quota_max=1, quota_renewal_rate=60))
    world = World(**fields)
    ask(world.rule, request)
    assert request.answer_headers == headers(0, 0, 0)
    assert len(world.counters) == 0


@pytest.mark.parametrize("quota_max", [0, -1, None])
def test_a_key_without_a_quota(quota_max: int | None) -> None:
    request = exchange(key=make_key(quota_max=quota_max, quota_renewal_rate=60))
    world = World()
    ask(world.rule, request)
    assert request.answer_headers == headers(-1, -1, 0)
    assert len(world.counters) == 0


@pytest.mark.parametrize("later", [False, True])
def test_exactly_so_many_from_the_first_use(later: bool) -> None:
    world = World(later)
    key = make_key(quota_max=5, quota_renewal_rate=3600)
    world.time.now += 1800
    assert world.admitted(20, key) == 5
    world.time.now += 3599
    assert world.admitted(20, key) == 0
    world.time.now += 1
    assert world.admitted(20, key) == 5


@pytest.mark.parametrize("later", [False, True])
def test_what_is_announced(later: bool) -> None:
    world = World(later)
    key = make_key(quota_max=2, quota_renewal_rate=3600)
    ends = world.time.now + 3600
    first, second, third = (exchange(key=key) for _ in range(3))
    ask(world.rule, first)
    world.time.now += 60.5
    ask(world.rule, second)
    assert (first.answer_headers, second.answer_headers) == (headers(2, 1, ends), headers(2, 0, ends))
    told = refusal(world.rule, third, QUOTA_EXCEEDED)
    assert third.answer_headers == headers(2, 0, ends)
    assert told.headers == ((b"Retry-After", b"3540"),)
    assert told.detail == "The key's quota is 2 requests in 3600 seconds; it renews in 3540 seconds."


@pytest.mark.parametrize("later", [False, True])
def test_what_is_announced_is_kept(later: bool) -> None:
    world = World(later)
    for _ in range(2):
        ask(world.rule, exchange(key=make_key(quota_max=3, quota_renewal_rate=60)))
    assert len(world.rule._announced) == 1


def test_long_periods_are_written_out() -> None:
    world = World()
    key = make_key(quota_max=1, quota_renewal_rate=2_592_000)
    ask(world.rule, exchange(key=key))
    assert "in 2592000 seconds" in (refusal(world.rule, exchange(key=key), QUOTA_EXCEEDED).detail or "")


@pytest.mark.parametrize("renewal", [0, -1])
def test_a_quota_that_is_never_renewed(renewal: int) -> None:
    world = World()
    key = make_key(quota_max=3, quota_renewal_rate=renewal)
    assert world.admitted(5, key) == 3
    world.time.now += 10 * 365 * 86_400
    request = exchange(key=key)
    told = refusal(world.rule, request, QUOTA_EXCEEDED)
    assert request.answer_headers == headers(3, 0, 0)
    assert told.headers == ()
    assert told.detail == "The key's quota is 3 requests; it is not renewed."


def test_a_refused_request_is_not_charged() -> None:
    world = World()
    world.admitted(50, make_key(quota_max=3, quota_renewal_rate=60))
    assert world.admitted(50, make_key(quota_max=5, quota_renewal_rate=60)) == 2, "a larger quota takes effect at once"


def test_keys_have_their_own_quotas() -> None:
    world = World()
    assert [world.admitted(9, make_key(name, quota_max=2, quota_renewal_rate=60)) for name in ("a", "b", "a")] == [2, 2, 0]


def test_headers_of_other_stages_stay() -> None:
    request = exchange(key=make_key())
    request.limits = b"RateLimit: x\r\n"
    ask(World().rule, request)
    assert request.answer_headers == ((b"RateLimit", b"x"), *headers(-1, -1, 0))


def test_exact_when_many_ask_at_once() -> None:
    world = World(later=True)
    key = make_key(quota_max=20, quota_renewal_rate=3600)

    async def one(request: Exchange) -> bool:
        try:
            await world.rule.on_request(request)
        except Refusal:
            return False
        return True

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(one(exchange(key=key)) for _ in range(100)))

    assert sum(asyncio.run(all_of_them())) == 20


def shares(told: list[Told]) -> list[tuple[str, str]]:
    assert {one.name for one in told} <= {"TriggerExceeded"}
    return [(one.metadata["TriggerLimit"], one.metadata["UsagePercentage"]) for one in told]


@pytest.mark.parametrize("later", [False, True])
def test_shares_of_a_quota_are_told_once_in_a_window(later: bool) -> None:
    world = World(later)
    key = make_key(quota_max=10, quota_renewal_rate=60, org_id="acme", monitor={"trigger_limits": [95, 80, 12.5]})
    assert (world.admitted(1, key), shares(world.told)) == (1, [])
    assert (world.admitted(1, key), shares(world.told)) == (1, [("12.5", "20")])
    assert (world.admitted(5, key), len(world.told)) == (5, 1)
    assert (world.admitted(1, key), shares(world.told)[1:]) == (1, [("80", "80")])
    assert (world.admitted(9, key), shares(world.told)[2:]) == (2, [("95", "100")])
    assert world.told[1].metadata == {
        "Message": "Quota trigger reached", "Key": "key-1", "OrgID": "acme", "TriggerLimit": "80", "UsagePercentage": "80",
    }  # fmt: skip
    world.time.now += 60
    assert (world.admitted(99, key), len(world.told)) == (10, 6)


def test_one_request_may_reach_several_shares() -> None:
    world = World()
    world.admitted(1, make_key(quota_max=1, monitor={"trigger_limits": [80, 95, 80]}))
    assert shares(world.told) == [("80", "100"), ("95", "100")]


@pytest.mark.parametrize("limits", [None, []])
def test_nobody_is_told_who_did_not_ask(limits: Any) -> None:
    world = World()
    assert world.admitted(9, make_key(quota_max=5, monitor={"trigger_limits": limits})) == 5
    assert world.admitted(9, make_key(quota_max=-1, monitor={"trigger_limits": [1, 50, 100]})) == 9
    assert world.told == []


def test_the_quota_of_a_single_api_has_the_same_shares() -> None:
    world = World()
    rights = {"api": {"versions": [], "limit": {"quota_max": 4, "quota_renewal_rate": 60}}}
    world.admitted(9, make_key(quota_max=1000, access_rights=rights, monitor={"trigger_limits": [50]}))
    assert shares(world.told) == [("50", "50")]


@pytest.mark.parametrize(
    ("quota_max", "share", "number"), [(100, 55, 55), (1000, 0.7, 7), (3, 33.4, 2), (7, 100, 7), (10**15, 29, 29 * 10**13)]
)
def test_which_request_reaches_a_share(quota_max: int, share: float, number: int) -> None:
    assert make_key(quota_max=quota_max, monitor={"trigger_limits": [share]}).triggers == {number: (share,)}


def test_two_workers_tell_once(valkey: Valkey) -> None:
    key = make_key(quota_max=40, quota_renewal_rate=3600, monitor={"trigger_limits": [50, 100]})
    told: list[Told] = []

    async def worker() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            rule = built(quota, ports(counters=counters, told=told))
            await asyncio.gather(*(rule.on_request(exchange(key=key)) for _ in range(30)), return_exceptions=True)

    async def both() -> None:
        await asyncio.gather(worker(), worker())

    with patch.object(resp, "ANSWER_S", 20.0):
        asyncio.run(both())
    assert sorted(shares(told)) == [("100", "100"), ("50", "50")]


class Both:
    """Rate limit and quota of one API, asked as the chain does. later: whether the counters answer later, all of them at once."""

    def __init__(self, later: bool, **fields: Any) -> None:
        self.time = Time()
        self.counters = MemoryCounters(clocks=Clocks(self.time, self.time))
        asked: Any = LateCounters(self.counters) if later else self.counters
        outside = ports(counters=asked, time=self.time)
        self.rules = [built(rate_limit, outside, **fields), built(quota, outside, **fields)]

    def ask(self, key: Key, target: str = "/api/") -> tuple[str, bytes, tuple[Header, ...]]:
        """What is said of a request: the refusal, the lines of all answers, those of the refusal."""
        request = exchange(key=key, target=target)
        try:
            for rule in self.rules:
                ask(rule, request)
        except Refusal as refused:
            return f"{refused.kind.code}: {refused.detail}", request.limits, tuple(refused.headers)
        return "", request.limits, ()

    def used(self, *counters: str) -> list[int]:
        return [999 - self.counters.look(name, 999, 0, name.startswith("q")).remaining for name in counters]


BY_PATH = {"extended_paths": {"rate_limit": [{"path": "^/a", "rate": 2, "per": 60}]}, "use_extended_paths": True}


@pytest.mark.parametrize(
    ("fields", "session", "refused"),
    [
        ({}, {"rate": 3, "per": 60, "quota_max": 9}, "rate-limit-exceeded"),
        ({}, {"rate": 9, "per": 60, "quota_max": 3, "quota_renewal_rate": 3600}, "quota-exceeded"),
        ({}, {"quota_max": 3}, "quota-exceeded"),
        ({}, {"rate": 3, "per": 60}, "rate-limit-exceeded"),
        ({}, {}, ""),
        ({"global_rate_limit": {"rate": 3, "per": 60}}, {"rate": 9, "per": 9, "quota_max": 9}, "api-rate-limit-exceeded"),
        ({"global_rate_limit": {"rate": 3, "per": 60, "by": "address"}}, {"quota_max": 9}, "api-rate-limit-exceeded"),
        ({"global_rate_limit": {"rate": 3, "per": 60}, "disable_rate_limit": True}, {"rate": 1, "per": 9}, "api-rate-limit-exceeded"),
        ({"disable_quota": True}, {"rate": 3, "per": 60, "quota_max": 1}, "rate-limit-exceeded"),
        ({"version": BY_PATH}, {"rate": 9, "per": 60, "quota_max": 9}, "api-rate-limit-exceeded"),
    ],
)
def test_all_at_once_is_as_one_after_the_other(fields: dict[str, Any], session: dict[str, Any], refused: str) -> None:
    """Byte by byte, whatever is charged."""
    here, there = Both(later=False, **fields), Both(later=True, **fields)
    targets = ["/api/b", "/api/a", "/api/x%2Fa", "/api/a", "/api/a"]
    said = [(here.ask(make_key(**session), target), there.ask(make_key(**session), target)) for target in targets]
    assert [one == other for one, other in said] == [True] * 5
    assert said[-1][0][0].partition(":")[0] == refused
    counters = ("r:key-1", "q:key-1", "a:api", "a:api@192.0.2.1")
    assert here.used(*counters) == there.used(*counters)
    assert len(here.counters) == len(there.counters)


@pytest.mark.parametrize("later", [False, True])
def test_a_refused_request_is_charged_to_what_was_asked_before(later: bool) -> None:
    both = Both(later, global_rate_limit={"rate": 5, "per": 60})
    generous, poor = make_key("a", rate=9, per=60, quota_max=3), make_key("b", rate=1, per=60, quota_max=9)
    assert [both.ask(generous)[0].partition(":")[0] for _ in range(4)] == ["", "", "", "quota-exceeded"]
    assert both.used("r:a", "a:api", "q:a") == [4, 4, 3]
    assert [both.ask(poor)[0].partition(":")[0] for _ in range(3)] == ["", "rate-limit-exceeded", "rate-limit-exceeded"]
    assert both.used("r:b", "a:api", "q:b") == [1, 5, 1]
    assert both.ask(generous)[0].startswith("api-rate-limit-exceeded")
    assert both.used("r:a", "a:api", "q:a") == [5, 5, 3]


@pytest.mark.parametrize("later", [False, True])
def test_an_edited_quota_counts_from_the_next_request(later: bool) -> None:
    both = Both(later)
    assert [both.ask(make_key(rate=9, per=60, quota_max=1))[0] == "" for _ in range(2)] == [True, False]
    assert [both.ask(make_key(rate=9, per=60, quota_max=2))[0] == "" for _ in range(2)] == [True, False]
    assert both.ask(make_key(rate=9, per=60))[1].endswith(b"X-RateLimit-Limit: -1\r\nX-RateLimit-Remaining: -1\r\nX-RateLimit-Reset: 0\r\n")


def test_rate_and_quota_are_exact_over_two_workers(valkey: Valkey) -> None:
    key = make_key(rate=45, per=600, quota_max=17, quota_renewal_rate=3600)

    async def worker() -> list[str]:
        async with started(ValkeyCounters(valkey.url)) as counters:
            outside = ports(counters=counters)
            rules = [built(middleware, outside, global_rate_limit={"rate": 30, "per": 600}) for middleware in (rate_limit, quota)]

            async def one() -> str:
                request = exchange(key=key)
                try:
                    for rule in rules:
                        waiting = rule.on_request(request)
                        if waiting is not None:
                            await waiting
                except Refusal as refused:
                    return refused.kind.code
                return ""

            return await asyncio.gather(*(one() for _ in range(30)))

    async def both() -> Counter[str]:
        one, two = await asyncio.gather(worker(), worker())
        return Counter(one + two)

    with patch.object(resp, "ANSWER_S", 20.0):
        assert asyncio.run(both()) == {"": 17, "quota-exceeded": 13, "api-rate-limit-exceeded": 15, "rate-limit-exceeded": 15}
