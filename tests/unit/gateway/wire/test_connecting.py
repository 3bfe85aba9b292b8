"""A name with several addresses: one that refuses, or says nothing, does not keep a request from the next one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import psutil
import pytest
import uvloop

from services.gateway.wire import connecting

_RUNS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def answering() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()


@pytest.fixture
def refusing() -> Iterator[tuple[str, int]]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """A listener whose queue is full: the kernel drops what would connect."""
    with contextlib.ExitStack() as block:
        listener = block.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        block.enter_context(socket.create_connection(listener.getsockname()))
        yield listener.getsockname()


def _first(run: Run, *addresses: tuple[str, int]) -> tuple[tuple[str, int], float]:
    """The address that was reached, and how long it took."""

    async def work() -> tuple[tuple[str, int], float]:
        began = time.monotonic()
        reached = await connecting._first(asyncio.get_running_loop(), [(socket.AF_INET, address) for address in addresses])
        with reached:
            return reached.getpeername(), time.monotonic() - began

    found: tuple[tuple[str, int], float] = run(asyncio.wait_for(work(), 20))
    return found


@_RUNS
def test_the_first_that_answers_is_taken(run: Run, answering: tuple[str, int], refusing: tuple[str, int], silent: tuple[str, int]) -> None:
    assert _first(run, answering, silent)[0] == answering
    assert _first(run, refusing, answering)[0] == answering
    assert _first(run, silent, answering)[0] == answering
    assert _first(run, refusing, silent, refusing, answering)[0] == answering


@_RUNS
def test_when_none_answers_the_last_failure_is_told(run: Run, refusing: tuple[str, int]) -> None:
    with pytest.raises(ConnectionRefusedError):
        _first(run, refusing, refusing)


@_RUNS
def test_a_time_limit_leaves_no_socket_behind(run: Run, silent: tuple[str, int]) -> None:
    async def work() -> None:
        before = _sockets()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(connecting.HEAD_START * 1.5):
                await connecting._first(asyncio.get_running_loop(), [(socket.AF_INET, silent)] * 2)
        async with asyncio.timeout(10):
            while _sockets() > before:
                await asyncio.sleep(0)

    run(work())


def _sockets() -> int:
    return len(psutil.Process().net_connections("tcp"))


@_RUNS
def test_a_name_is_connected_to_and_what_comes_at_once_is_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both with one address and with two."""

    class Heard(asyncio.Protocol):
        def __init__(self) -> None:
            self.data: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def data_received(self, data: bytes) -> None:
            self.data.set_result(data)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Greeting(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for addresses in (1, 2):
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * addresses

            class Named:
                """The loop, with a name that it knows."""

                async def getaddrinfo(self, *_: Any, found: Any = found, **__: Any) -> Any:
                    return found

                def __getattr__(self, name: str) -> Any:
                    return getattr(loop, name)

            heard = Heard()
            transport = await connecting.connect(Named(), lambda heard=heard: heard, "name.test", port)  # type: ignore[arg-type, misc]
            assert await asyncio.wait_for(heard.data, 10) == b"hello"
            transport.abort()
        server.close()

    class Greeting(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            transport.write(b"hello")

    run(work())
