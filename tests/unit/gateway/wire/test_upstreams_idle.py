"""Which idle connections of an upstream are closed when it ends one of them."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from services.gateway.wire.sockets import Sockets
from services.gateway.wire.upstream_connection import Pool
from services.gateway.wire.upstreams import Upstreams


class Idle:
    """As much of a connection as the pool uses."""

    def __init__(self, home: Pool) -> None:
        self.home = home
        self.lost, self.buffer, self.idle, self.closed = False, b"", False, False
        self.transport = self
        self.deadline = 0.0

    def is_closing(self) -> bool:
        return self.closed

    def resume(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


async def no_tls() -> ssl.SSLContext:
    raise AssertionError("nothing here speaks TLS")


def test_those_that_were_idle_for_a_while_end_with_the_one_that_cannot_be_kept() -> None:
    async def work() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        upstreams = Upstreams(sockets, no_tls)
        origin = ("http", "one", 80)
        pool, elsewhere = upstreams._pools[origin], upstreams._pools["http", "another", 80]
        other: Any = Idle(elsewhere)
        upstreams.give(other)
        rarely: list[Any] = [Idle(pool) for _ in range(3)]
        for one in rarely:
            upstreams.give(one)
        sockets.now += 1.0
        often: Any = Idle(pool)
        upstreams.give(often)
        ended: Any = Idle(pool)
        upstreams.end(ended, told=True)
        assert ended.closed
        assert [one.closed for one in rarely] == [True] * 3
        assert not often.closed
        assert not other.closed
        assert upstreams.take(origin) is often
        assert upstreams.take(origin) is None

    asyncio.run(work())


def test_those_that_were_idle_stay_when_one_is_given_up_by_the_gateway() -> None:
    """As for a client that goes away: that says nothing of the upstream."""

    async def work() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        upstreams = Upstreams(sockets, no_tls)
        origin = ("http", "one", 80)
        rarely: Any = Idle(upstreams._pools[origin])
        upstreams.give(rarely)
        sockets.now += 1.0
        given_up: Any = Idle(upstreams._pools[origin])
        upstreams.end(given_up, told=False)
        assert given_up.closed
        assert upstreams.take(origin) is rarely

    asyncio.run(work())


def test_it_knows_how_many_are_idle_and_how_many_busy() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        async with server:
            sockets = Sockets(loop)
            upstreams = Upstreams(sockets, no_tls)
            origin = ("http", "127.0.0.1", server.sockets[0].getsockname()[1])
            assert upstreams.states() == {"idle": 0, "busy": 0}
            one, other, third = [await upstreams.connect(origin, 5.0) for _ in range(3)]
            upstreams.give(one)
            assert upstreams.states() == {"idle": 1, "busy": 2}
            assert upstreams.take(origin) is one
            assert upstreams.states() == {"idle": 0, "busy": 3}
            for each in (one, other, third):
                each.transport.abort()
            await asyncio.sleep(0)
            assert upstreams.states() == {"idle": 0, "busy": 0}

    asyncio.run(work())
