"""Answers in Valkey (or Redis 5 and later), which all workers and nodes share. What a worker has written there is bounded: counters may
share the server, and one without room counts nothing.

Every API has a generation, a random text; an answer begins with the one that held when the upstream was asked, and counts only as long as
it is the same. So a purge is one write, and holds everywhere when it is answered. The connection is not the counters': a large answer on
its way must not hold up a count. While Valkey is away, requests are answered by the upstream: the first ones after at most 250 ms, the rest
at once.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from services.gateway.cache.answers import Kept, decode, encode
from services.gateway.cache.memory import MOST_BYTES
from services.gateway.cache.port import Found, NotPurged
from services.gateway.cache.shelves import Shelves
from services.gateway.counters.nodes import Nodes
from services.gateway.counters.resp import Address, Away, Link, ServerError, pack

# Bytes of answers that are on their way to Valkey; more are not kept.
MOST_UNDER_WAY: Final = 8 * 1024 * 1024
# Bytes that count for a small answer, so that its place in this worker's memory is small beside it.
_LEAST: Final = 4096
_UNKNOWN: Final[Found] = (None, None)


class ValkeyAnswers:
    """The `AnswerStore` of all workers of an installation (`prefix`)."""

    def __init__(self, url: str, prefix: str = "gatehouse", most: int = MOST_BYTES) -> None:
        """Connect to nothing yet. most: bytes of the answers that this worker keeps there.

        Raises ValueError for a URL that cannot be understood.
        """
        self.hits = self.misses = 0
        self._names = f"{prefix}:cache:"
        self._nodes = Nodes(Address.from_url(url), f"{self._names}probe", _prepare, meanwhile="no answers kept")
        self._under_way = 0
        self._written: Shelves[None] = Shelves(most)  # what of Valkey is this worker's

    @property
    def size(self) -> int:
        return self._written.size

    async def start(self) -> None:
        await self._nodes.start()

    async def stop(self) -> None:
        await self._nodes.stop()

    def find(self, api_id: str, name: bytes) -> Found | Awaitable[Found]:
        link = self._nodes.link(self._generation(api_id))
        return _UNKNOWN if link is None or not link.up else self._find(api_id, name)

    async def _find(self, api_id: str, name: bytes) -> Found:
        key, of_api = self._key(api_id, name), self._generation(api_id)
        # Both are asked in one turn, and so in one write.
        asked = [asyncio.ensure_future(self._nodes.ask(one, pack("GET", one))) for one in (of_api, key)]
        answered = await asyncio.gather(*asked, return_exceptions=True)
        for failed in answered:
            if isinstance(failed, Away | ServerError):
                return _UNKNOWN
            if isinstance(failed, BaseException):
                raise failed
        mark: bytes | None
        data: bytes | None
        mark, data = answered  # type: ignore[assignment]  # no exceptions any more
        if mark is None:
            return None, await self._begin(of_api)
        told, _, rest = (data or b"").partition(b"\n")
        try:
            kept = decode(rest) if told == mark else None
        except ValueError:
            kept = None
        if kept is None or kept.until <= time.time():
            return None, mark
        self._written.find(api_id, name)  # it was asked for last
        return kept, mark

    async def _begin(self, of_api: bytes) -> bytes | None:
        """Give an API its first generation, or take that which another worker has given it meanwhile. None = it has none."""
        try:
            await self._nodes.ask(of_api, pack("SET", of_api, secrets.token_hex(8), "NX"))
            mark: bytes | None = await self._nodes.ask(of_api, pack("GET", of_api))
        except (Away, ServerError):
            return None
        return mark

    def keep(self, api_id: str, name: bytes, kept: Kept, mark: Any) -> None:
        lifetime = int((kept.until - time.time()) * 1000)
        if mark is None or lifetime <= 0 or self._under_way + kept.size > MOST_UNDER_WAY:
            return
        gone = self._written.put(api_id, name, None, max(kept.size, _LEAST))
        if gone is None:
            return
        for other_api, other in gone:
            self._forget(other_api, other)
        data = b"%b\n%b" % (mark, encode(kept))
        key = self._key(api_id, name)
        self._write(key, pack("SET", key, data, "PX", lifetime), len(data))

    def forget(self, api_id: str, name: bytes) -> None:
        self._written.drop(api_id, name)
        self._forget(api_id, name)

    def _forget(self, api_id: str, name: bytes) -> None:
        key = self._key(api_id, name)
        self._write(key, pack("DEL", key), len(key))

    async def purge(self, api_id: str) -> None:
        key = self._generation(api_id)
        try:
            await self._nodes.ask(key, pack("SET", key, secrets.token_hex(8)))
        except (Away, ServerError) as error:
            raise NotPurged(str(error) or "Valkey is away") from None

    def _key(self, api_id: str, name: bytes) -> bytes:
        return f"{self._names}{api_id}:{name.hex()}".encode()

    def _generation(self, api_id: str) -> bytes:
        return f"{self._names}{api_id}".encode()

    def _write(self, key: bytes, command: bytes, size: int) -> None:
        """Send a command whose answer nobody waits for. size: bytes that are under way until it is answered."""
        self._under_way += size
        task = asyncio.ensure_future(self._nodes.ask(key, command))
        task.add_done_callback(self._when_written(size))

    def _when_written(self, size: int) -> Callable[[asyncio.Future[Any]], None]:
        def done(task: asyncio.Future[Any]) -> None:
            self._under_way -= size
            if not task.cancelled():
                task.exception()  # a write that failed leaves nothing, as if there had been no room

        return done


async def _prepare(link: Link, probe: bytes, mine: Callable[[bytes], bool]) -> None:
    """Check that an answer can be written: not by a replica, nor without memory."""
    await link.call(pack("SET", probe, b"1", "PX", 1000))
