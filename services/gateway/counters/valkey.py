"""Counters that all workers and nodes share through a Valkey (or Redis 5 and later): exact over all of them, one round trip a use.
Each counter is one key, so a cluster holds them as well as a single server.

Time is the server's, so nodes need not agree. Durable counters live in Valkey like the others; whether they survive its restart is
Valkey's own persistence (`appendonly yes`), and an eviction policy other than `noeviction` may forget some early.
While Valkey is away, or does not take what is written, requests pass uncounted, the first ones after at most 250 ms, the rest at once. A
setting of the server's clock moves the windows that are running.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from math import ceil, nan
from typing import Any, Final

from services.common import logging as logs
from services.gateway.counters.nodes import REDIRECTED, Nodes
from services.gateway.counters.port import Taken
from services.gateway.counters.resp import Address, Away, Link, ServerError, pack

log = logs.get(__name__)

_MOST_RESETS: Final = 10_000

# A hash per counter: u = used, e = end of the window in epoch milliseconds, 0 = never. Answers {admitted, used, e, milliseconds left}.
SCRIPT: Final = b"""
local limit, window, charge = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'u', 'e')
local used, ends = tonumber(held[1]), tonumber(held[2])
local fresh = not used or (ends ~= 0 and ends <= now)
local moved = not fresh and window > 0 and (ends == 0 or ends - now > window)
if fresh then
  used = 0
end
if fresh or moved then
  ends = window > 0 and now + window or 0
end
local admitted = used < limit
if charge and admitted then
  used = used + 1
  if fresh and held[1] then
    redis.call('DEL', KEYS[1])
  end
  if fresh or moved then
    redis.call('HSET', KEYS[1], 'u', string.format('%.0f', used), 'e', string.format('%.0f', ends))
    if ends > 0 then
      redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', ends))
    end
  else
    redis.call('HINCRBY', KEYS[1], 'u', 1)
  end
elseif charge and moved then
  redis.call('HSET', KEYS[1], 'e', string.format('%.0f', ends))
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', ends))
end
return {admitted and 1 or 0, used, ends, ends > 0 and ends - now or 0}
"""
_SHA: Final = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()
_ELSEWHERE: Final = ("NOSCRIPT", *REDIRECTED)
_BY_SHA: Final = b"*7\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n1\r\n" % _SHA.encode()


class ValkeyCounters:
    """The `Counters` in Valkey. `take` and `look` answer directly only while Valkey is away."""

    def __init__(self, url: str, prefix: str = "gatehouse") -> None:
        """Connect to nothing yet. prefix: begins every name in Valkey. Raises ValueError for a URL that cannot be understood."""
        self.uncounted = 0
        self._took = nan
        self._names = f"{prefix}:counter:"
        self._nodes = Nodes(Address.from_url(url), self._names + "probe", self._prepare)
        self._resets: set[bytes] = set()  # asked for while Valkey was away
        self._refused_by: Link | None = None  # the connection whose refusal is in the log already

    @property
    def available(self) -> bool:
        return self._nodes.up

    @property
    def round_trip(self) -> float:
        return self._took if self.available else nan

    async def start(self) -> None:
        await self._nodes.start()

    async def hand_over(self) -> None:
        """Do nothing: no counter belongs to this worker alone."""

    async def stop(self) -> None:
        await self._nodes.stop()

    def take(self, counter: str, limit: int, window: float, durable: bool = False) -> Taken | Awaitable[Taken]:
        key = (self._names + counter).encode()
        link = self._nodes.link(key)
        if link is None or not link.up:
            return self._pass(limit, window)
        return self._ask(link, key, limit, window, b"1")

    def look(self, counter: str, limit: int, window: float, durable: bool = False) -> Taken | Awaitable[Taken]:
        key = (self._names + counter).encode()
        link = self._nodes.link(key)
        if link is None or not link.up:
            return _untouched(limit, window)
        return self._ask(link, key, limit, window, b"0")

    async def reset(self, *counters: str) -> None:
        await asyncio.gather(*map(self._reset, counters))

    async def _reset(self, counter: str) -> None:
        key = (self._names + counter).encode()
        try:
            await self._nodes.ask(key, pack("DEL", key))
        except (Away, ServerError):
            if len(self._resets) < _MOST_RESETS:
                self._resets.add(key)

    async def _ask(self, link: Link, key: bytes, limit: int, window: float, charge: bytes) -> Taken:
        milliseconds = ceil(window * 1000) if window > 0 else 0
        try:
            try:
                admitted, used, ends, left = await link.call(_by_sha(key, limit, milliseconds, charge))
            except ServerError as error:
                if not str(error).startswith(_ELSEWHERE):
                    raise
                # the server has forgotten its scripts, or the key is at another one
                evaluated = pack("EVAL", SCRIPT, 1, key, limit, milliseconds, charge)
                admitted, used, ends, left = await self._nodes.ask_at(link, key, evaluated)
        except (Away, ServerError) as error:
            if isinstance(error, ServerError) and self._refused_by is not link:
                self._refused_by = link
                log.warning("count refused by Valkey; requests passed uncounted", reason=str(error))
            return self._pass(limit, window) if charge == b"1" else _untouched(limit, window)
        return Taken(admitted == 1, limit, max(limit - used, 0), ends / 1000, left / 1000)

    def _pass(self, limit: int, window: float) -> Taken:
        self.uncounted += 1
        return _untouched(limit, window)

    async def _prepare(self, link: Link, probe: bytes, mine: Callable[[bytes], bool]) -> None:
        """Load the script, check that a count can be written (not by a replica, nor without memory), and make the resets that are owed."""
        calls: list[asyncio.Future[Any]] = [
            link.call(pack("SCRIPT", "LOAD", SCRIPT)),
            link.call(_by_sha(probe, 1, 1, b"1")),
            link.call(pack("DEL", probe)),
        ]
        resets = [key for key in self._resets if mine(key)]
        reset = [link.call(pack("DEL", key)) for key in resets]
        begun = time.perf_counter()
        answers = await asyncio.gather(*calls, *reset, return_exceptions=True)
        self._took = time.perf_counter() - begun
        made = answers[len(calls) :]
        self._resets.difference_update(key for key, answer in zip(resets, made, strict=True) if not isinstance(answer, BaseException))
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer


def _by_sha(key: bytes, limit: int, milliseconds: int, charge: bytes) -> bytes:
    most, window = b"%d" % limit, b"%d" % milliseconds
    return b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$1\r\n%b\r\n" % (
        _BY_SHA, len(key), key, len(most), most, len(window), window, charge,
    )  # fmt: skip


def _untouched(limit: int, window: float) -> Taken:
    return Taken(True, limit, limit, time.time() + window if window > 0 else 0.0, max(window, 0.0))
