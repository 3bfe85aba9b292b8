"""A key's quota: exactly so many requests from its first use, what is announced, and what is not charged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.gateway.counters.memory import MemoryCounters
from services.gateway.counters.windows import Clocks
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key
from services.gateway.middleware import quota
from services.gateway.refusals import QUOTA_EXCEEDED, Refusal
from tests.unit.gateway.exchanges import LateCounters, Time, ask, built, exchange, make_key, ports, refusal


def headers(limit: int, remaining: int, reset: float) -> tuple[tuple[bytes, bytes], ...]:
    values = (b"Limit", limit), (b"Remaining", remaining), (b"Reset", int(reset))
    return tuple((b"X-RateLimit-%b" % name, b"%d" % value) for name, value in values)


class World:
    """The built middleware, its counters and their clock. later: whether the counters answer later."""

    def __init__(self, later: bool = False, **fields: Any) -> None:
        self.time = Time()
        self.counters = MemoryCounters(clocks=Clocks(self.time, self.time))
        asked: Any = LateCounters(self.counters) if later else self.counters
        self.rule: Any = built(quota, ports(counters=asked, time=self.time), **fields)

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
