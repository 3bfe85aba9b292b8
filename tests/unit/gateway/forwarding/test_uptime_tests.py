"""What a worker asks upstreams for, and when a host is down or up again."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.counters.memory import MemoryCounters
from services.gateway.definitions.model import TargetUrl, UptimeTest
from services.gateway.forwarding.uptime_tests import UptimeTests
from services.gateway.wire.sockets import Sockets
from services.gateway.wire.upstreams import Upstreams
from tests.support.waiting import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"


async def no_tls() -> ssl.SSLContext:
    raise AssertionError("nothing here speaks TLS")


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition while the loop goes on."""
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


class Host(asyncio.Protocol):
    """Counts what it is asked. answer: what it says, b"" = nothing at all."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.answer = OK
        self.port = 0
        self.open: set[Any] = set()

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for transport in list(self.open):
            transport.abort()
        while self.open:
            await asyncio.sleep(0)

    def test(self, path: str = "/health", **more: Any) -> UptimeTest:
        return UptimeTest(TargetUrl("http", "127.0.0.1", self.port, path, ""), **more)


class _Connection(asyncio.Protocol):
    def __init__(self, host: Host) -> None:
        self._host = host

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._host.open.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._host.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._host.asked.append(data)
        if self._host.answer:
            self._transport.write(self._host.answer)


class Worker:
    """A worker with tests and a live set of one API. events: what was told."""

    def __init__(self, upstreams: Upstreams, counters: Any = None, *, failures: int = 3, every: float = 0.01) -> None:
        self.events: list[tuple[str, Any, dict[str, Any]]] = []
        self.upstreams = upstreams
        self.live: Any = SimpleNamespace(current=SimpleNamespace(number=0, apis={}))
        take = (MemoryCounters() if counters is None else counters).take
        self.tests = UptimeTests(upstreams, self.live, lambda *event: self.events.append(event), take, every, failures)

    def load(self, *tests: UptimeTest) -> None:
        api = SimpleNamespace(api_id="one", routes=None, definition=SimpleNamespace(uptime_tests=tests))
        self.live.current = SimpleNamespace(number=self.live.current.number + 1, apis={"one": api})

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.events]


def on_loop(work: Callable[..., Coroutine[Any, Any, None]], hosts: int = 1) -> None:
    """Run a test with the sockets of a worker and some hosts."""

    async def inside() -> None:
        sockets, started = Sockets(asyncio.get_running_loop()), [Host() for _ in range(hosts)]
        for host in started:
            await host.start()
        try:
            await work(sockets, *started)
        finally:
            for connection in list(sockets.connections):
                connection.close()
            for host in started:
                await host.stop()

    asyncio.run(inside())


def upstreams(sockets: Sockets) -> Upstreams:
    return Upstreams(sockets, no_tls)


def test_a_host_that_fails_often_enough_is_down_until_it_is_well_as_often() -> None:
    async def work(sockets: Sockets, host: Host) -> None:
        worker = Worker(upstreams(sockets))
        worker.load(host.test())
        worker.tests.start()
        await until(lambda: len(host.asked) >= 4)
        assert worker.upstreams.down == set()
        host.answer = BAD
        await until(lambda: worker.tests.down == 1)
        assert worker.upstreams.down == {("127.0.0.1", host.port)}
        host.answer = OK
        await until(lambda: worker.tests.down == 0)
        worker.tests.stop()
        assert worker.names == ["HostDown", "HostUp"]
        assert worker.events[0][1] is worker.live.current.apis["one"]
        assert worker.events[0][2] == {
            "Message": "Uptime test failed",
            "Path": "",
            "Origin": "",
            "Key": "",
            "HostInfo.CheckURL": f"http://127.0.0.1:{host.port}/health",
            "HostInfo.ResponseCode": "503",
            "HostInfo.IsTCPError": "false",
        }

    on_loop(work)


def test_fewer_failures_in_a_row_are_nothing() -> None:
    async def work(sockets: Sockets, host: Host) -> None:
        worker = Worker(upstreams(sockets), failures=2)
        worker.load(host.test())
        one_in_two = iter([BAD, OK] * 50)
        worker.tests.start()
        while len(host.asked) < 20:
            asked = len(host.asked)
            host.answer = next(one_in_two)
            await until(lambda asked=asked: len(host.asked) > asked)  # type: ignore[misc]
        worker.tests.stop()
        assert worker.events == []

    on_loop(work)


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n", b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", BAD]
)
def test_only_200_in_time_is_a_success(answer: bytes) -> None:
    async def work(sockets: Sockets, host: Host) -> None:
        host.answer = answer
        worker = Worker(upstreams(sockets), failures=1)
        worker.load(host.test(timeout=0.1))
        worker.tests.start()
        await until(lambda: worker.tests.down == 1)
        worker.tests.stop()

    on_loop(work)


def test_nobody_there() -> None:
    async def work(sockets: Sockets) -> None:
        worker = Worker(upstreams(sockets), failures=1)
        worker.load(UptimeTest(TargetUrl("http", "127.0.0.1", free_port(), "", "")))
        worker.tests.start()
        await until(lambda: worker.names == ["HostDown"])
        worker.tests.stop()
        assert worker.events[0][2]["HostInfo.IsTCPError"] == "true"

    on_loop(work, 0)


def test_an_interim_answer_is_not_the_end() -> None:
    async def work(sockets: Sockets, host: Host) -> None:
        host.answer = b"HTTP/1.1 103 Early\r\n\r\n" + OK
        worker = Worker(upstreams(sockets), failures=1)
        worker.load(host.test())
        worker.tests.start()
        await until(lambda: len(host.asked) > 3)
        worker.tests.stop()
        assert worker.tests.down == 0

    on_loop(work)


def test_what_is_asked() -> None:
    async def work(sockets: Sockets, host: Host) -> None:
        worker = Worker(upstreams(sockets))
        headers = (("X-Check", "yes"), ("User-Agent", "mine"))
        worker.load(host.test("/a/", method="POST", headers=headers, body=b"hello"))
        worker.tests.start()
        await until(lambda: bool(host.asked))
        worker.tests.stop()
        head, _, body = host.asked[0].partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        assert line == "POST /a/ HTTP/1.1"
        assert sorted(fields) == [
            "Accept: */*", "Connection: close", "Content-Length: 5", f"Host: 127.0.0.1:{host.port}", "User-Agent: mine", "X-Check: yes",
        ]  # fmt: skip
        assert body == b"hello"

    on_loop(work)


def test_another_definition_and_what_is_known_of_what_stays() -> None:
    async def work(sockets: Sockets, bad: Host, other: Host) -> None:
        bad.answer = BAD
        worker = Worker(upstreams(sockets), failures=1)
        worker.load(bad.test())
        worker.tests.start()
        await until(lambda: worker.tests.down == 1)
        worker.load(bad.test(), other.test())
        await until(lambda: bool(other.asked))
        assert worker.tests.down == 1
        assert worker.names == ["HostDown"]
        worker.load(other.test())
        await until(lambda: worker.tests.down == 0)
        assert worker.names == ["HostDown"]
        asked, elsewhere = len(bad.asked), len(other.asked)
        await until(lambda: len(other.asked) > elsewhere + 3)
        assert len(bad.asked) <= asked + 1
        worker.tests.stop()

    on_loop(work, 2)


def test_workers_that_share_their_counters_tell_of_it_once() -> None:
    async def work(sockets: Sockets, host: Host) -> None:
        counters = MemoryCounters()
        workers = [Worker(upstreams(sockets), counters, failures=1, every=60.0) for _ in range(3)]
        for status, expected in ((503, ["HostDown"]), (200, ["HostDown", "HostUp"])):
            for worker in workers:
                worker.load(host.test())
                worker.tests._watch(worker.live.current.apis.values())
                for one in worker.tests._watched.values():
                    await worker.tests._note(one, status)
                assert worker.tests.down == (status == 503)
            assert [name for worker in workers for name in worker.names] == expected
        for worker in workers:
            worker.tests.stop()

    on_loop(work)
