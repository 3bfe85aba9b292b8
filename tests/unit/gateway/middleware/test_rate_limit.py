"""So many requests in so many seconds: for a key, an API, an address; what is announced and what is charged."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import pytest

from services.gateway.counters import resp
from services.gateway.counters.memory import MemoryCounters
from services.gateway.counters.valkey import ValkeyCounters
from services.gateway.counters.windows import Clocks
from services.gateway.exchange import Exchange
from services.gateway.middleware import rate_limit
from services.gateway.middleware.rate_limit import GlobalRateLimit
from services.gateway.refusals import API_RATE_LIMITED, RATE_LIMITED, Refusal
from tests.support.stores import Valkey
from tests.unit.gateway.counters.asking import started
from tests.unit.gateway.exchanges import LateCounters, Time, ask, built, exchange, make_key, mistakes, ports, refusal, spec

PER_API = {"rate": 4, "per": 60}
PER_ADDRESS = {"rate": 2, "per": 60, "by": "address"}


class World:
    """The built middleware, its counters and their clock. later: whether the counters answer later."""

    def __init__(self, later: bool = False, **fields: Any) -> None:
        self.time = Time()
        self.counters = MemoryCounters(clocks=Clocks(self.time, self.time))
        asked: Any = LateCounters(self.counters) if later else self.counters
        # Without quotas it takes itself, whenever the counters answer.
        self.rule: Any = built(rate_limit, ports(counters=asked, time=self.time), **{"disable_quota": True, **fields})

    def admitted(self, times: int, **request: Any) -> int:
        found = 0
        for _ in range(times):
            try:
                ask(self.rule, exchange(**request))
                found += 1
            except Refusal:
                pass
        return found


@pytest.mark.parametrize(
    ("fields", "used"),
    [
        ({}, True),
        ({"use_keyless": True}, False),
        ({"disable_rate_limit": True}, False),
        ({"use_keyless": True, "global_rate_limit": PER_API}, True),
        ({"disable_rate_limit": True, "global_rate_limit": PER_API}, True),
        ({"use_keyless": True, "global_rate_limit": {**PER_API, "disabled": True}}, False),
        ({"use_keyless": True, "global_rate_limit": {"rate": 0, "per": 60}}, False),
        ({"use_keyless": True, "global_rate_limit": {"rate": -1, "per": 60}}, False),
        ({"use_keyless": True, "global_rate_limit": {"rate": 4, "per": 0}}, False),
    ],
)
def test_when_it_is_in_the_chain(fields: dict[str, Any], used: bool) -> None:
    assert (World(**fields).rule is not None) is used


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("rate", [1, 3, 10])
def test_exactly_so_many_in_a_window(rate: int, later: bool) -> None:
    world = World(later)
    key = make_key(rate=rate, per=10)
    assert world.admitted(rate + 5, key=key) == rate
    world.time.now += 9.9
    assert world.admitted(1, key=key) == 0
    world.time.now += 0.1
    assert world.admitted(rate + 5, key=key) == rate


@pytest.mark.parametrize("session", [{}, {"rate": 0, "per": 60}, {"rate": -1, "per": 60}, {"rate": 5, "per": 0}, {"rate": 5, "per": -1}])
def test_keys_without_a_limit(session: dict[str, float]) -> None:
    request = exchange(key=make_key(**session))
    world = World()
    for _ in range(20):
        ask(world.rule, request)
    assert request.answer_headers == ()
    assert len(world.counters) == 0


def test_keys_have_their_own_windows() -> None:
    world = World()
    assert [world.admitted(9, key=make_key(name, rate=rate, per=60)) for name, rate in (("a", 2), ("b", 3), ("a", 2))] == [2, 3, 0]


@pytest.mark.parametrize(("rate", "per", "admitted", "window"), [(0.5, 1, 1, 2), (2.9, 60, 2, 60), (1, 0.5, 1, 0.5)])
def test_fractions(rate: float, per: float, admitted: int, window: float) -> None:
    world = World()
    key = make_key(rate=rate, per=per)
    assert world.admitted(9, key=key) == admitted
    world.time.now += window * 0.99
    assert world.admitted(9, key=key) == 0
    world.time.now += window * 0.01
    assert world.admitted(9, key=key) == admitted


@pytest.mark.parametrize("later", [False, True])
def test_what_is_announced(later: bool) -> None:
    world = World(later)
    key = make_key(rate=2, per=9.5)
    first, second, third = (exchange(key=key) for _ in range(3))
    ask(world.rule, first)
    assert first.answer_headers == ((b"RateLimit-Policy", b'"key";q=2;w=10'), (b"RateLimit", b'"key";r=1;t=10'))
    world.time.now += 4
    ask(world.rule, second)
    assert second.answer_headers[1] == (b"RateLimit", b'"key";r=0;t=6')
    told = refusal(world.rule, third, RATE_LIMITED)
    assert third.answer_headers == ((b"RateLimit-Policy", b'"key";q=2;w=10'), (b"RateLimit", b'"key";r=0;t=6'))
    assert told.headers == ((b"Retry-After", b"6"),)
    assert told.detail == "The key's limit is 2 requests in 9.5 seconds; try again in 6 seconds."


def test_long_windows_are_written_out() -> None:
    world = World()
    key = make_key(rate=1, per=2_592_000)
    ask(world.rule, exchange(key=key))
    assert "in 2592000 seconds" in (refusal(world.rule, exchange(key=key), RATE_LIMITED).detail or "")


def test_an_answer_never_says_to_come_back_at_once() -> None:
    world = World()
    key = make_key(rate=1, per=0.001)
    ask(world.rule, exchange(key=key))
    assert refusal(world.rule, exchange(key=key), RATE_LIMITED).headers == ((b"Retry-After", b"1"),)


@pytest.mark.parametrize("later", [False, True])
def test_a_limit_for_the_whole_api(later: bool) -> None:
    world = World(later, use_keyless=True, global_rate_limit=PER_API)
    assert [world.admitted(3, client=f"192.0.2.{n}") for n in (1, 2)] == [3, 1]
    request = exchange()
    told = refusal(world.rule, request, API_RATE_LIMITED)
    assert (told.detail or "").startswith("The API's limit is 4 requests in 60 seconds")
    assert request.answer_headers[0] == (b"RateLimit-Policy", b'"api";q=4;w=60')


def test_a_limit_for_each_address() -> None:
    world = World(use_keyless=True, global_rate_limit=PER_ADDRESS)
    assert [world.admitted(9, client=client) for client in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "local")] == [2, 2, 0, 2]
    request = exchange(client="192.0.2.1")
    assert (refusal(world.rule, request, API_RATE_LIMITED).detail or "").startswith("The address's limit")
    assert request.answer_headers[0][1].startswith(b'"address";')


def test_ipv6_clients_share_what_one_client_owns() -> None:
    world = World(use_keyless=True, global_rate_limit=PER_ADDRESS)
    clients = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::1", "2001:db8:0:2::1", "::1")
    assert [world.admitted(9, client=client) for client in clients] == [2, 0, 2, 2]


@pytest.mark.parametrize("later", [False, True])
def test_the_key_comes_before_the_api(later: bool) -> None:
    """What the key's limit refuses is not charged to the API."""
    world = World(later, global_rate_limit=PER_API)
    assert world.admitted(50, key=make_key("a", rate=3, per=60)) == 3
    request = exchange(key=make_key("b", rate=3, per=60))
    ask(world.rule, request)
    names = [value.split(b";")[0] for name, value in request.answer_headers if name == b"RateLimit"]
    assert names == [b'"key"', b'"api"']
    assert world.admitted(5, key=make_key("c", rate=3, per=60)) == 0
    refusal(world.rule, exchange(key=make_key("d")), API_RATE_LIMITED)


def test_apis_have_their_own_windows() -> None:
    world = World(use_keyless=True, global_rate_limit=PER_API)
    other = built(rate_limit, ports(counters=world.counters, time=world.time), api_id="other", use_keyless=True, global_rate_limit=PER_API)
    assert world.admitted(9) == 4
    assert ask(other, exchange()) is None


def test_exact_when_many_ask_at_once() -> None:
    world = World(later=True, global_rate_limit={"rate": 20, "per": 60})
    keys = [make_key(str(number), rate=11, per=60) for number in range(2)]

    async def one(request: Exchange) -> bool:
        try:
            await world.rule.on_request(request)
        except Refusal:
            return False
        return True

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(one(exchange(key=keys[number % 2])) for number in range(120)))

    assert sum(asyncio.run(all_of_them())) == 20


def test_an_edited_limit_takes_effect_with_the_next_request() -> None:
    world = World()
    assert world.admitted(9, key=make_key(rate=2, per=60)) == 2
    assert world.admitted(9, key=make_key(rate=5, per=60)) == 3
    assert world.admitted(9, key=make_key(rate=1, per=60)) == 0
    world.time.now += 60
    assert world.admitted(9, key=make_key(rate=1, per=60)) == 1


def test_more_limits_and_addresses_than_are_remembered() -> None:
    world = World(global_rate_limit={"rate": 10**9, "per": 60, "by": "address"})
    for number in range(4200):
        ask(world.rule, exchange(client=f"2001:db8:{number:x}::1", key=make_key(str(number), rate=1, per=number + 1)))
    assert len(world.rule._known) <= 4096
    assert len(world.rule._addresses) <= 4096


def endpoint(path: str, **rates: tuple[float, float]) -> dict[str, Any]:
    """Rates of one path, by method."""
    return {"path": path, "methods": [{"name": name, "limit": {"rate": rate, "per": per}} for name, (rate, per) in rates.items()]}


def key_with(*endpoints: dict[str, Any], id: str = "key-1", api: str = "api", **session: Any) -> Any:
    return make_key(id, access_rights={api: {"versions": ["Default"], "endpoints": list(endpoints)}}, **session)


@pytest.mark.parametrize("later", [False, True])
def test_rates_of_single_paths_count_apart_from_that_of_the_key(later: bool) -> None:
    """As in Tyk 5: the rate of the key does not count there; that of the API does."""
    world = World(later)
    key = key_with(endpoint("^/a$", GET=(2, 60), POST=(1, 60)), endpoint("^/b/{id}$", GET=(3, 60)), rate=4, per=60)
    assert world.admitted(9, key=key, target="/api/a") == 2
    assert world.admitted(9, key=key, target="/api/a", method="POST") == 1
    assert world.admitted(4, key=key, target="/api/b/1") == 3
    assert world.admitted(4, key=key, target="/api/b/2") == 0, "one limit for all paths of a pattern"
    assert world.admitted(9, key=key, target="/api/a", method="PUT") == 4, "what no endpoint names counts for the key"
    assert world.admitted(9, key=key, target="/api/other") == 0
    assert world.admitted(9, key=key_with(endpoint("^/a$", GET=(2, 60)), id="other"), target="/api/a") == 2


def test_the_first_path_that_matches_decides_and_zero_is_no_limit() -> None:
    world = World()
    key = key_with(endpoint("^/a/free$", GET=(0, 60)), endpoint("^/a", GET=(1, 60)), rate=1, per=60)
    assert world.admitted(9, key=key, target="/api/a/free") == 9
    assert world.admitted(9, key=key, target="/api/a/x") == 1


def test_the_limit_of_the_api_counts_for_single_paths_as_well() -> None:
    world = World(global_rate_limit=PER_API)
    key = key_with(endpoint("^/a$", GET=(9, 60)))
    assert world.admitted(9, key=key, target="/api/a") == 4


@pytest.mark.parametrize("later", [False, True])
def test_a_path_counts_in_all_of_its_readings(later: bool) -> None:
    world = World(later, global_rate_limit={"rate": 5, "per": 60})
    key = key_with(endpoint("^/a/b$", GET=(2, 60)), endpoint("^/a.2Fb$", GET=(4, 60)), rate=3, per=60)
    assert world.admitted(1, key=key, target="/api/a/b") == 1
    assert world.admitted(9, key=key, target="/api/a%2Fb") == 1, "one of two is left at /a/b"
    assert world.admitted(9, key=key, target="/api/a/b") == 0
    assert world.admitted(9, key=key_with(endpoint("^/a/c$", GET=(9, 60)), id="k", rate=2, per=60), target="/api/a%2Fc") == 2


def test_what_is_announced_of_a_path() -> None:
    world = World()
    key = key_with(endpoint("^/a$", GET=(1, 60)), rate=9, per=60)
    request = exchange(key=key, target="/api/a")
    ask(world.rule, request)
    assert request.answer_headers == ((b"RateLimit-Policy", b'"endpoint";q=1;w=60'), (b"RateLimit", b'"endpoint";r=0;t=60'))
    told = refusal(world.rule, exchange(key=key, target="/api/a"), RATE_LIMITED)
    assert told.detail == "For this path and method, the key's limit is 1 request in 60 seconds; try again in 60 seconds."


def test_rates_of_paths_of_another_api_and_of_a_former_state() -> None:
    world = World()
    assert world.admitted(5, key=key_with(endpoint("^/a$", GET=(1, 60)), api="other"), target="/api/a") == 5
    assert world.admitted(5, key=key_with(endpoint("^/a$", GET=(1, 60))), target="/api/a") == 1
    assert world.admitted(5, key=key_with(endpoint("^/a$", GET=(3, 60))), target="/api/a") == 2, "what was used stays used"
    assert world.admitted(5, key=key_with(), target="/api/a") == 5


def test_keys_with_the_rates_of_one_policy_share_a_table() -> None:
    world = World()
    for number in range(50):
        assert world.admitted(2, key=key_with(endpoint("^/a$", GET=(1, 60)), id=str(number)), target="/api/a") == 1
    assert len(world.rule._tables) == 1


def test_a_rate_of_a_path_is_exact_over_two_workers(valkey: Valkey) -> None:
    key = key_with(endpoint("^/a$", GET=(17, 60)), rate=1, per=60)

    async def worker() -> int:
        async with started(ValkeyCounters(valkey.url)) as counters:
            rule = built(rate_limit, ports(counters=counters), disable_quota=True)
            return sum(await asyncio.gather(*(passes(rule, exchange(key=key, target="/api/a")) for _ in range(40))))

    async def both() -> int:
        return sum(await asyncio.gather(worker(), worker()))

    with patch.object(resp, "ANSWER_S", 20.0):
        assert asyncio.run(both()) == 17


def limited(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"version": {"use_extended_paths": True, "extended_paths": {"rate_limit": list(entries)}}, "use_keyless": True}


@pytest.mark.parametrize("later", [False, True])
def test_a_rate_of_a_path_of_the_api_takes_the_place_of_that_of_the_api(later: bool) -> None:
    """All who call the path are counted together."""
    entries = ({"path": "^/a", "method": "GET", "rate": 2, "per": 60}, {"path": "^/free", "rate": 0, "per": 60})
    world = World(later, **limited(*entries), global_rate_limit=PER_API)
    assert [world.admitted(9, target="/api/a", client=client) for client in ("192.0.2.1", "192.0.2.2")] == [2, 0]
    assert [world.admitted(9, target=target) for target in ("/api/free", "/api/other")] == [4, 0]
    request = exchange(target="/api/a")
    told = refusal(world.rule, request, API_RATE_LIMITED)
    assert told.detail == "For this path and method, the API's limit is 2 requests in 60 seconds; try again in 60 seconds."
    assert request.answer_headers[0] == (b"RateLimit-Policy", b'"api-endpoint";q=2;w=60')


def test_a_rate_of_a_path_of_the_api_alone() -> None:
    world = World(**limited({"path": "^/a", "method": "GET", "rate": 1, "per": 60}))
    assert [world.admitted(9, target="/api/a", method=method) for method in ("GET", "POST")] == [1, 9]
    assert world.admitted(9, target="/api/a", version="other") == 9
    assert World(**limited({"path": "^/a", "rate": 1, "per": 60, "disabled": True})).rule is None


@pytest.mark.parametrize("later", [False, True])
def test_a_rate_of_a_path_of_the_api_in_all_readings(later: bool) -> None:
    world = World(later, **limited({"path": "^/a/b$", "rate": 2, "per": 60}), global_rate_limit={"rate": 1, "per": 60})
    assert world.admitted(1, target="/api/a/b") == 1
    assert world.admitted(9, target="/api/a%2Fb") == 1
    assert world.admitted(9, target="/api/a/b") == 0
    assert world.admitted(9, target="/api/x") == 0, "the reading that is no endpoint took from the limit of the API"


@pytest.mark.parametrize("later", [False, True])
def test_the_rates_of_keys_count_beside_that_of_a_path_of_the_api(later: bool) -> None:
    entry = {"path": "^/a", "method": "GET", "rate": 3, "per": 60}
    world = World(later, **{**limited(entry), "use_keyless": False})
    assert world.admitted(9, target="/api/a", key=make_key("a", rate=2, per=60)) == 2
    assert world.admitted(9, target="/api/a", key=make_key("b", rate=2, per=60)) == 1


def test_a_rate_of_a_path_of_the_api_is_exact_over_two_workers(valkey: Valkey) -> None:
    async def worker() -> int:
        async with started(ValkeyCounters(valkey.url)) as counters:
            rule = built(rate_limit, ports(counters=counters), **limited({"path": "^/a", "rate": 17, "per": 60}))
            return sum(await asyncio.gather(*(passes(rule, exchange(target="/api/a")) for _ in range(40))))

    async def both() -> int:
        return sum(await asyncio.gather(worker(), worker()))

    with patch.object(resp, "ANSWER_S", 20.0):
        assert asyncio.run(both()) == 17


@pytest.mark.parametrize("wrong", [{"rate": -2}, {"per": -1}, {"path": ""}, {"method": "get"}, {"rate": "5"}])
def test_rates_of_paths_that_are_wrong(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    more = limited({"path": "/a", "method": "GET", "rate": 5, "per": 60, **wrong})
    assert mistakes(rate_limit, **more) == [f"/version_data/versions/Default/extended_paths/rate_limit/0/{name}"]


async def passes(rule: Any, request: Exchange) -> bool:
    try:
        await rule.on_request(request)
    except Refusal:
        return False
    return True


def test_limits_for_the_whole_api() -> None:
    assert spec(rate_limit, global_rate_limit={"rate": 5, "per": 0.5, "by": "address"}).overall == GlobalRateLimit(5, 0.5, "address")
    assert sorted(mistakes(rate_limit, global_rate_limit={"rate": -2, "per": -1, "by": "key"})) == [
        "/global_rate_limit/by",
        "/global_rate_limit/per",
        "/global_rate_limit/rate",
    ]
