"""Which of several targets a request goes to."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import pytest

from services.gateway.wire.balancing import Balancing, Origin
from services.gateway.wire.sockets import Sockets
from services.gateway.wire.upstreams import Unreachable, Upstreams
from tests.support.waiting import free_port


class To(NamedTuple):
    """As much of a target as the choice uses."""

    name: str

    @property
    def origin(self) -> Origin:
        return ("http", self.name, 80)


def to(names: str, **how: Any) -> Balancing[To]:
    """A balancing among targets of one letter each."""
    return Balancing([To(name) for name in names], **how)


async def no_tls() -> ssl.SSLContext:
    raise AssertionError("nothing here speaks TLS")


def on_loop(work: Callable[[Sockets, Upstreams], Coroutine[Any, Any, None]]) -> None:
    async def inside() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        await work(sockets, Upstreams(sockets, no_tls))

    asyncio.run(inside())


def chosen(upstreams: Upstreams, balancing: Balancing[To], times: int) -> str:
    return "".join(upstreams.choose(balancing).name for _ in range(times))


@pytest.mark.parametrize(("names", "expected"), [("ab", "ababab"), ("aab", "aabaab"), ("a", "aaaaaa"), ("abcd", "abcdab")])
def test_targets_take_turns_and_one_that_stands_there_twice_gets_two(names: str, expected: str) -> None:
    async def work(sockets: Sockets, upstreams: Upstreams) -> None:
        assert chosen(upstreams, to(names), 6) == expected

    on_loop(work)


def test_each_api_has_turns_of_its_own() -> None:
    async def work(sockets: Sockets, upstreams: Upstreams) -> None:
        one, other = to("ab"), to("ab")
        assert [upstreams.choose(balancing).name for balancing in (one, other, one, other)] == ["a", "a", "b", "b"]

    on_loop(work)


def test_the_share_of_one_that_is_left_out_goes_to_all_others() -> None:
    async def work(sockets: Sockets, upstreams: Upstreams) -> None:
        upstreams.eject(To("a"))
        balancing = to("abcd")
        assert Counter(chosen(upstreams, balancing, 9)) == {"b": 3, "c": 3, "d": 3}
        sockets.now += 10.0
        assert Counter(chosen(upstreams, balancing, 8)) == {"a": 2, "b": 2, "c": 2, "d": 2}

    on_loop(work)


def test_all_take_turns_when_none_can_be_reached() -> None:
    async def work(sockets: Sockets, upstreams: Upstreams) -> None:
        for name in "abc":
            upstreams.eject(To(name))
        assert chosen(upstreams, to("abc"), 6) == "abcabc"

    on_loop(work)


def test_one_that_was_tried_is_not_taken_again() -> None:
    async def work(sockets: Sockets, upstreams: Upstreams) -> None:
        balancing = to("abc")
        assert upstreams.choose(balancing).name == "a"
        upstreams.eject(To("a"))
        upstreams.eject(To("b"))
        assert upstreams.choose(balancing, {To("a").origin}).name == "c"
        upstreams.eject(To("c"))
        assert upstreams.choose(balancing, {To("a").origin, To("c").origin}).name == "b"

    on_loop(work)


def test_one_whose_uptime_tests_fail_is_left_out_where_they_count() -> None:
    async def work(sockets: Sockets, upstreams: Upstreams) -> None:
        upstreams.down = {("a", 80)}
        assert chosen(upstreams, to("abc", heeds_tests=True), 4) == "bcbc"
        assert chosen(upstreams, to("abc"), 3) == "abc"
        upstreams.down = {("a", 80), ("b", 80)}
        assert chosen(upstreams, to("ab", heeds_tests=True), 4) == "abab"

    on_loop(work)


def test_the_one_with_fewest_connections_in_use_for_its_weight() -> None:
    async def work(sockets: Sockets, upstreams: Upstreams) -> None:
        balancing = to("abb", least_connections=True)
        upstreams._pools["http", "a", 80].open = 1
        assert upstreams.choose(balancing).name == "b"
        upstreams._pools["http", "b", 80].open = 3
        assert upstreams.choose(balancing).name == "a"
        upstreams._pools["http", "a", 80].open = 2
        assert upstreams.choose(balancing).name == "b"
        upstreams.eject(To("b"))
        assert upstreams.choose(balancing).name == "a"

    on_loop(work)


def test_with_as_many_in_use_they_take_turns() -> None:
    async def work(sockets: Sockets, upstreams: Upstreams) -> None:
        assert chosen(upstreams, to("abc", least_connections=True), 6) == "abcabc"

    on_loop(work)


def test_a_connection_is_in_use_from_its_making_until_it_is_idle_or_gone() -> None:
    async def work(sockets: Sockets, upstreams: Upstreams) -> None:
        server = await sockets.loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        origin = ("http", "127.0.0.1", server.sockets[0].getsockname()[1])
        pool = upstreams._pools[origin]
        making = asyncio.ensure_future(upstreams.connect(origin, 5))
        while not pool.open:
            await asyncio.sleep(0)
        connection = await making
        assert (pool.open, pool.in_use) == (1, 1)
        upstreams.give(connection)
        assert (pool.open, pool.in_use) == (1, 0)
        assert upstreams.take(origin) is connection
        assert pool.in_use == 1
        connection.close()
        while pool.open:
            await asyncio.sleep(0)
        nowhere = ("http", "127.0.0.1", free_port())
        with pytest.raises(Unreachable):
            await upstreams.connect(nowhere, 5)
        assert upstreams._pools[nowhere].open == 0
        server.close()

    on_loop(work)
