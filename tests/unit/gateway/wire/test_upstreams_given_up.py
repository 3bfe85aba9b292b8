"""A client that goes away while its upstream is being connected leaves no connection behind."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from services.gateway.wire.driving import Driver
from services.gateway.wire.sockets import Sockets
from services.gateway.wire.upstream_connection import UpstreamConnection
from services.gateway.wire.upstreams import Upstreams


async def no_tls() -> ssl.SSLContext:
    raise AssertionError("no target of this test speaks TLS")


async def _given_up_when_just_connected(heard: bool) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sockets = Sockets(loop)
        upstreams = Upstreams(sockets, no_tls)
        got: list[UpstreamConnection] = []

        async def ask() -> None:
            got.append(await upstreams.connect(("http", "127.0.0.1", listener.getsockname()[1]), 5.0))

        driver = Driver(ask(), loop)
        driver.step()
        async with asyncio.timeout(5):
            while not sockets.connections:  # made, and the coroutine has not heard of it
                await asyncio.sleep(0)
            connecting = driver._awaited
            while heard and not connecting.done():
                await asyncio.sleep(0)
            assert not got
            driver.cancel()
            while sockets.connections:
                await asyncio.sleep(0)
        assert not got


@pytest.mark.parametrize("heard", [False, True], ids=["as it connects", "afterwards"])
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_connection_that_nobody_waits_for_any_more_is_closed(run: Callable[[Coroutine[Any, Any, None]], None], heard: bool) -> None:
    run(_given_up_when_just_connected(heard))
