"""Asks upstreams from time to time whether they are well, as definitions say, and tells what became of them (`HostDown`, `HostUp`).

Each worker asks for itself, because it is its own way to the upstream that counts; their tests are spread over the time between two of
them. An event is told once, whichever worker sees the change first (`counters`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from services.common import logging as logs
from services.common.addresses import host_port
from services.gateway.counters.port import Taken
from services.gateway.definitions.model import UptimeTest
from services.gateway.exchange import CompiledApi
from services.gateway.live import Live
from services.gateway.wire.connection import Closed, TimedOut
from services.gateway.wire.heads.responses import BadAnswer, parse_response
from services.gateway.wire.reading import read_head
from services.gateway.wire.upstreams import Unreachable, Upstreams

log = logs.get(__name__)

_LOOKS_EVERY: Final = 1.0
# Tests under way at a time, in one worker.
_AT_ONCE: Final = 50
_SPREAD: Final = 0.1
_MOST_INTERIM_HEADS: Final = 20
_HEALTHY: Final = 200  # as in Tyk, no other answer is

Take = Callable[[str, int, float], Taken | Awaitable[Taken]]
Fire = Callable[[str, CompiledApi | None, Mapping[str, Any]], None]


class _Watched:
    """A test of one API. misses, hits: in a row. task: asks, again and again."""

    __slots__ = ("api_id", "down", "hits", "misses", "task", "test")

    def __init__(self, api_id: str, test: UptimeTest) -> None:
        self.api_id = api_id
        self.test = test
        self.misses = self.hits = 0
        self.down = False
        self.task: asyncio.Task[None] | None = None


class UptimeTests:
    """The tests of one worker. every: seconds between two tests of a host. failures: how many in a row make it down, or up again."""

    def __init__(self, upstreams: Upstreams, live: Live, fire: Fire, take: Take, every: float, failures: int) -> None:
        self._upstreams = upstreams
        self._live = live
        self._fire = fire
        self._take = take
        self._every = every
        self._failures = failures
        self._watched: dict[tuple[str, UptimeTest], _Watched] = {}
        self._number = -1
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    @property
    def down(self) -> int:
        """Return how many hosts are down."""
        return len(self._upstreams.down)

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        for task in (self._task, *(one.task for one in self._watched.values())):
            if task is not None:
                task.cancel()

    async def _run(self) -> None:
        while True:
            current = self._live.current
            if current.number != self._number:
                self._number = current.number
                self._watch(current.apis.values())
            await asyncio.sleep(_LOOKS_EVERY)

    def _watch(self, apis: Any) -> None:
        """Test what these definitions ask for. What is tested already goes on, and what is known of it stays."""
        wanted = {(api.api_id, test) for api in apis for test in api.definition.uptime_tests}
        for key in self._watched.keys() - wanted:
            gone = self._watched.pop(key)
            if gone.task is not None:
                gone.task.cancel()
        for key in wanted - self._watched.keys():
            one = self._watched[key] = _Watched(*key)
            one.task = asyncio.get_running_loop().create_task(self._ask_again_and_again(one))
        self._note_down()

    def _note_down(self) -> None:
        self._upstreams.down = {(one.test.url.host, one.test.url.port) for one in self._watched.values() if one.down}

    async def _ask_again_and_again(self, one: _Watched) -> None:
        await asyncio.sleep(self._every * random.random())  # noqa: S311 - not a secret
        while True:
            try:
                async with self._room:
                    status = await self._status(one)
                await self._note(one, status)
            except Exception:  # one test that fails in an unknown way must not be the last one
                log.exception("uptime test failed", api_id=one.api_id)
            await asyncio.sleep(self._every * random.uniform(1 - _SPREAD, 1 + _SPREAD))  # noqa: S311

    async def _status(self, one: _Watched) -> int:
        """Return the status of the answer, 0 = none came."""
        with contextlib.suppress(Unreachable, TimeoutError, TimedOut, Closed, BadAnswer):
            async with asyncio.timeout(one.test.timeout):
                return await self._answered(one)
        return 0

    async def _answered(self, one: _Watched) -> int:
        test, url = one.test, one.test.url
        api = self._live.current.apis.get(one.api_id)
        route = None if api is None or api.routes is None else api.routes.of(url.host)
        connection = await self._upstreams.connect((url.scheme, url.host, url.port), test.timeout, route)
        try:
            request = _request(test)
            connection.write(request if connection.absolute is None else connection.absolute.of(request))
            for _ in range(_MOST_INTERIM_HEADS):
                answer = await read_head(connection, parse_response)
                if answer.status >= 200 or answer.status == 101:
                    return answer.status
                connection.take(answer.consumed)
            return 0
        finally:
            connection.close()

    async def _note(self, one: _Watched, status: int) -> None:
        if status == _HEALTHY:
            one.hits, one.misses = one.hits + 1, 0
        else:
            one.hits, one.misses = 0, one.misses + 1
        if (one.hits if one.down else one.misses) < self._failures:
            return
        one.down = not one.down
        one.hits = one.misses = 0
        self._note_down()
        shown = _shown(one.test)
        if one.down:
            log.warning("upstream down", api_id=one.api_id, url=shown, status=status)
        else:
            log.info("upstream up", api_id=one.api_id, url=shown)
        event = "HostDown" if one.down else "HostUp"
        # Every worker sees the change within this time. For the same change again a host needs failures and successes: longer than that.
        window = 1.5 * self._every * self._failures
        asked = self._take(f"uptime:{event}:{one.api_id}:{shown}", 1, window)
        if (asked if isinstance(asked, Taken) else await asked).admitted:
            self._fire(event, self._live.current.apis.get(one.api_id), _metadata(shown, event, status))


def _metadata(shown: str, event: str, status: int) -> dict[str, str]:
    """Return what Tyk's events of hosts say."""
    return {
        "Message": "Uptime test failed" if event == "HostDown" else "Uptime test succeeded",
        "Path": "",
        "Origin": "",
        "Key": "",
        "HostInfo.CheckURL": shown,
        "HostInfo.ResponseCode": str(status),
        "HostInfo.IsTCPError": "false" if status else "true",
    }


def _shown(test: UptimeTest) -> str:
    """Return the URL of a test without its query, which may hold a secret."""
    url = test.url
    return logs.mask_secrets(f"{url.scheme}://{host_port(url.host, url.port)}{url.path or '/'}")


def _request(test: UptimeTest) -> bytes:
    url = test.url
    fields = {"Host": host_port(url.host, url.port), "User-Agent": "Gatehouse", "Accept": "*/*"}
    named = {name.lower() for name, _ in test.headers}
    lines = [f"{name}: {value}" for name, value in (*((n, v) for n, v in fields.items() if n.lower() not in named), *test.headers)]
    lines.append("Connection: close")
    if test.body or test.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(test.body)}")
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return "\r\n".join([f"{test.method} {target} HTTP/1.1", *lines, "", ""]).encode() + test.body
