"""TLS of routes: made once, made again after a while, and what keeps apart."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from services.gateway.wire.routes import Route, named
from services.gateway.wire.sockets import Sockets
from services.gateway.wire.upstreams import Unreachable, Upstreams, WrongKey
from tests.support.waiting import free_port


@pytest.mark.parametrize(
    ("host", "expected"),
    [("a.b.c", "exact"), ("x.b.c", "near"), ("y.x.b.c", "near"), ("b.c", "far"), ("c", "any"), ("127.0.0.1", "any"), ("xb.c", "far")],
)
def test_the_nearest_name_counts(host: str, expected: str) -> None:
    by_host = {"a.b.c": "exact", "*.b.c": "near", "*.c": "far", "*": "any"}
    assert named(by_host, host, "none") == expected
    assert named({}, host, "none") == "none"


async def usual() -> ssl.SSLContext:
    raise AssertionError("the route has its own")


def test_a_context_is_made_for_each_route_and_again_when_certificates_may_have_changed() -> None:
    made: list[Route] = []

    async def make(route: Route) -> ssl.SSLContext:
        made.append(route)
        return ssl.create_default_context()

    async def work() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        upstreams = Upstreams(sockets, usual, make)
        one, other = Route(certificate="one"), Route(certificate="other")

        async def ask(route: Route) -> None:
            with pytest.raises(Unreachable):
                await upstreams.connect(("https", "127.0.0.1", free_port()), 10, route)

        for route in (one, other, one, Route(certificate="one")):
            await ask(route)
        assert made == [one, other]
        sockets.now += 299
        await ask(one)
        assert made == [one, other]
        sockets.now += 2
        await ask(one)
        assert made == [one, other, one]

    asyncio.run(work())


def test_a_context_that_cannot_be_made_opens_nothing() -> None:
    async def make(route: Route) -> ssl.SSLContext:
        raise FileNotFoundError(2, "No such file", "/secret/one.pem")

    async def work() -> None:
        upstreams = Upstreams(Sockets(asyncio.get_running_loop()), usual, make)
        with pytest.raises(Unreachable) as refused:
            await upstreams.connect(("https", "127.0.0.1", free_port()), 10, Route(certificate="one"))
        assert "could not be loaded" in str(refused.value)
        assert "secret" not in str(refused.value)

    asyncio.run(work())


def test_a_pinned_host_is_not_asked_without_tls() -> None:
    async def work() -> None:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        upstreams = Upstreams(Sockets(asyncio.get_running_loop()), usual)
        with pytest.raises(WrongKey):
            await upstreams.connect(("http", "127.0.0.1", server.sockets[0].getsockname()[1]), 10, Route(pins=frozenset({"a"})))
        server.close()

    asyncio.run(work())


def test_connections_of_different_routes_are_kept_apart() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        origin = ("http", "127.0.0.1", server.sockets[0].getsockname()[1])
        upstreams = Upstreams(Sockets(loop), usual)
        loose = Route(verify=False)
        connection = await upstreams.connect(origin, 10, loose)
        upstreams.give(connection)
        assert upstreams.take(origin) is None
        assert upstreams.take(origin, Route()) is None
        assert upstreams.take(origin, Route(verify=False)) is connection
        connection.close()
        while not connection.lost:
            await asyncio.sleep(0)
        server.close()

    asyncio.run(work())
