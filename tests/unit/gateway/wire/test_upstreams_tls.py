"""What verifies https targets is loaded when the first one is asked for: once, in a thread, and again when that failed."""

from __future__ import annotations

import asyncio
import ssl
import threading

import pytest

from services.gateway.threads import in_thread
from services.gateway.wire.sockets import Sockets
from services.gateway.wire.upstreams import Unreachable, Upstreams
from tests.support.waiting import free_port


class Authorities:
    """Counts its loads, which end when `go` is set. fails: with what, the next time."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.go = threading.Event()
        self.fails: OSError | None = None

    async def load(self) -> ssl.SSLContext:
        return await in_thread(self._load)

    def _load(self) -> ssl.SSLContext:
        self.threads.append(threading.current_thread())
        assert self.go.wait(10)
        if self.fails is not None:
            raise self.fails
        return ssl.create_default_context()


async def said(upstreams: Upstreams, scheme: str, timeout: float = 10) -> str:
    """Why no connection to a port came about where nobody listens."""
    with pytest.raises(Unreachable) as refused:
        await upstreams.connect((scheme, "127.0.0.1", free_port()), timeout)
    return str(refused.value)


def test_a_plain_target_loads_nothing() -> None:
    authorities = Authorities()

    async def work() -> None:
        upstreams = Upstreams(Sockets(asyncio.get_running_loop()), authorities.load)
        assert "No connection" in await said(upstreams, "http")

    asyncio.run(work())
    assert authorities.threads == []


def test_all_who_wait_share_one_load_and_the_loop_goes_on() -> None:
    authorities = Authorities()

    async def work() -> None:
        upstreams = Upstreams(Sockets(asyncio.get_running_loop()), authorities.load)
        waiting = [asyncio.ensure_future(said(upstreams, "https")) for _ in range(5)]
        assert "No connection" in await said(upstreams, "http")
        authorities.go.set()
        assert all("No connection" in text for text in await asyncio.gather(*waiting))
        assert "No connection" in await said(upstreams, "https")

    asyncio.run(work())
    assert len(authorities.threads) == 1
    assert authorities.threads[0] is not threading.current_thread()


def test_who_gives_up_waiting_does_not_stop_the_load() -> None:
    authorities = Authorities()

    async def work() -> None:
        upstreams = Upstreams(Sockets(asyncio.get_running_loop()), authorities.load)
        with pytest.raises(TimeoutError):
            await upstreams.connect(("https", "127.0.0.1", free_port()), 0.01)
        authorities.go.set()
        assert "No connection" in await said(upstreams, "https")

    asyncio.run(work())
    assert len(authorities.threads) == 1


def test_a_load_that_failed_is_tried_again() -> None:
    authorities = Authorities()
    authorities.go.set()

    async def work() -> None:
        upstreams = Upstreams(Sockets(asyncio.get_running_loop()), authorities.load)
        authorities.fails = FileNotFoundError(2, "No such file or directory", "/etc/secret/ca.pem")
        text = await said(upstreams, "https")
        assert "authorities" in text
        assert "secret" not in text
        authorities.fails = None
        assert "No connection" in await said(upstreams, "https")

    asyncio.run(work())
    assert len(authorities.threads) == 2
