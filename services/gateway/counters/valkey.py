"""Counters that all workers and nodes share through a Valkey (or Redis 5 and later): exact over all of them, one round trip a request.
What the requests of one turn of the loop are charged to goes out in one write, and those that are charged to the same are one command.
Each counter is one key, so a cluster holds them as well as a single server; there a request asks for one after the other.

Time is the server's, so nodes need not agree. Durable counters live in Valkey like the others; whether they survive its restart is
Valkey's own persistence (`appendonly yes`), and an eviction policy other than `noeviction` may forget some early.
While Valkey is away, or does not take what is written, requests pass uncounted, the first ones after at most 250 ms, the rest at once. A
setting of the server's clock moves the windows that are running.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Generator
from math import ceil, nan
from typing import Any, Final

from services.common import logging as logs
from services.gateway.counters.nodes import REDIRECTED, Nodes
from services.gateway.counters.port import Charge, Charges, Taken
from services.gateway.counters.resp import Address, Away, Link, Receiver, ServerError, pack
from services.gateway.wire.driving import Signal

log = logs.get(__name__)

_MOST_RESETS: Final = 10_000

# A hash per counter: u = used, e = end of the window in epoch milliseconds, 0 = never. Of each counter it is given a limit and a window,
# and last the uses: so many requests, one after the other, each until a counter refuses it; 0 = only look. It answers {now, used before,
# e, …}.
SCRIPT: Final = b"""
local uses = tonumber(ARGV[#ARGV])
local charge = uses > 0
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local answer = {now}
for place, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * place - 1]), tonumber(ARGV[2 * place])
  local held = redis.call('HMGET', key, 'u', 'e')
  local used, ends = tonumber(held[1]), tonumber(held[2])
  local fresh = not used or (ends ~= 0 and ends <= now)
  local moved = not fresh and window > 0 and (ends == 0 or ends - now > window)
  if fresh then
    used = 0
  end
  if fresh or moved then
    ends = window > 0 and now + window or 0
  end
  answer[2 * place], answer[2 * place + 1] = used, ends
  if charge then
    uses = math.min(uses, math.max(limit - used, 0))
    if uses > 0 then
      if fresh and held[1] then
        redis.call('DEL', key)
      end
      if fresh or moved then
        redis.call('HSET', key, 'u', string.format('%.0f', used + uses), 'e', string.format('%.0f', ends))
        if ends > 0 then
          redis.call('PEXPIREAT', key, string.format('%.0f', ends))
        end
      else
        redis.call('HINCRBY', key, 'u', string.format('%.0f', uses))
      end
    elseif moved then
      redis.call('HSET', key, 'e', string.format('%.0f', ends))
      redis.call('PEXPIREAT', key, string.format('%.0f', ends))
    end
    if uses == 0 then
      break
    end
  end
end
return answer
"""
_ONE: Final = b"$1\r\n1\r\n"
_LOOK: Final = b"$1\r\n0\r\n"
_SHA: Final = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()
_ELSEWHERE: Final = ("NOSCRIPT", *REDIRECTED)
_APART: Final = ("CROSSSLOT", *REDIRECTED)
_tuple = tuple.__new__  # half the price of Taken(...), which is a Python function


class _Uses(Receiver):
    """The requests of one turn of the loop that are charged to the same counters.

    link: that was asked. count: of the requests. rows: the answer, error: why there is none; None = not yet. waiting: for either, in order.
    """

    __slots__ = ("charges", "count", "counters", "error", "link", "loop", "rows", "waiting")

    def __init__(self, counters: ValkeyCounters, charges: Charges, link: Link, loop: asyncio.AbstractEventLoop) -> None:
        self.counters = counters
        self.charges = charges
        self.link = link
        self.loop = loop
        self.count = 0
        self.rows: list[tuple[int, int, float, float]] | None = None
        self.error: Exception | None = None
        self.waiting: list[Signal] = []

    def receive(self, reply: Any) -> None:
        try:
            if isinstance(reply, Exception):
                raise reply
            self.rows = _rows(self.charges, _numbers(reply))
        except (Away, ServerError) as error:
            self.error = error
        for signal in self.waiting:
            signal.set()


class _Place:
    """What one request awaits: what the counters would have said if it had been asked for alone, after those before it.

    number: of those.
    """

    __slots__ = ("_number", "_uses")

    def __init__(self, uses: _Uses, number: int) -> None:
        self._uses = uses
        self._number = number

    def __await__(self) -> Generator[Any, None, list[Taken]]:
        uses = self._uses
        if uses.rows is None and uses.error is None:
            signal = Signal(uses.loop)
            uses.waiting.append(signal)
            signal._asyncio_future_blocking = True  # as `Signal.__await__`, written out
            yield signal
        if uses.rows is not None:
            return _takens(uses.rows, self._number)
        assert uses.error is not None
        return (yield from uses.counters.take_again(uses, uses.error).__await__())


class ValkeyCounters:
    """The `Counters` in Valkey. `take`, `take_all` and `look` answer directly only while Valkey is away."""

    at_once = False

    def __init__(self, url: str, prefix: str = "gatehouse") -> None:
        """Connect to nothing yet. prefix: begins every name in Valkey. Raises ValueError for a URL that cannot be understood."""
        self.uncounted = 0
        self._took = nan
        self._names = f"{prefix}:counter:"
        self._nodes = Nodes(Address.from_url(url), self._names + "probe", self._prepare)
        self._resets: set[bytes] = set()  # asked for while Valkey was away
        self._refused_by: Link | None = None  # the connection whose refusal is in the log already
        self._apart: Link | None = None  # the connection whose server wants to be asked for each key apart
        self._uses: dict[Charges, _Uses] = {}  # of this turn of the loop
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def available(self) -> bool:
        return self._nodes.up

    @property
    def round_trip(self) -> float:
        return self._took if self.available else nan

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
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
        return self._ask(link, key, limit, window, charge=True)

    def take_all(self, charges: Charges) -> list[Taken] | Awaitable[list[Taken]]:
        uses = self._uses.get(charges)
        if uses is None:
            link = self._nodes.whole
            if link is None or not link.up or link is self._apart:
                return self._pass_all(charges) if self._is_away(charges) else self._take_apart(charges)
            assert self._loop is not None
            if charges.command is None:
                charges.command = self._command(charges)  # here, so that charges that cannot be written fail their own request alone
            if not self._uses:
                self._loop.call_soon(self._send)
            uses = self._uses[charges] = _Uses(self, charges, link, self._loop)
        number = uses.count
        uses.count = number + 1
        return _Place(uses, number)

    def _is_away(self, charges: Charges) -> bool:
        """Whether nobody can be asked for any of these."""
        for charge in charges.each:
            link = self._nodes.link((self._names + charge.counter).encode())
            if link is not None and link.up:
                return False
        return True

    def _send(self) -> None:
        """Send what was asked in this turn of the loop."""
        all_uses, self._uses = self._uses, {}
        for uses in all_uses.values():
            command, count = uses.charges.command, uses.count
            assert command is not None
            uses.link.ask(command + (_ONE if count == 1 else b"$%d\r\n%d\r\n" % (len(str(count)), count)), uses)
        for link in {uses.link for uses in all_uses.values()}:
            link.flush()

    def _command(self, charges: Charges) -> bytes:
        """Return the command of some charges in the form of the wire, without its end, which says how many uses."""
        return _by_sha([self._charged(charge) for charge in charges.each])

    def _charged(self, charge: Charge) -> tuple[bytes, int, int]:
        return (self._names + charge.counter).encode(), charge.limit, _milliseconds(charge.window)

    async def take_again(self, uses: _Uses, error: Exception) -> list[Taken]:
        """Take for one request after an answer that was an error. Never raises."""
        charges, text = uses.charges, str(error)
        if isinstance(error, ServerError) and text.startswith("NOSCRIPT"):
            try:
                answer = _numbers(await uses.link.call(_evaluated([self._charged(charge) for charge in charges.each], 1)))
            except (Away, ServerError) as again:
                error, text = again, str(again)
            else:
                return _takens(_rows(charges, answer), 0)
        if isinstance(error, ServerError) and text.startswith(_APART):
            self._apart = uses.link
            return await self._take_apart(charges)
        self._note(error, uses.link)
        return self._pass_all(charges)

    async def _take_apart(self, charges: Charges) -> list[Taken]:
        """Take from each counter where it is, one after the other."""
        found: list[Taken] = []
        for charge in charges.each:
            taking = self.take(charge.counter, charge.limit, charge.window)
            taken = taking if isinstance(taking, Taken) else await taking
            found.append(taken)
            if not taken.admitted:
                break
        return found

    def look(self, counter: str, limit: int, window: float, durable: bool = False) -> Taken | Awaitable[Taken]:
        key = (self._names + counter).encode()
        link = self._nodes.link(key)
        if link is None or not link.up:
            return _untouched(limit, window)
        return self._ask(link, key, limit, window, charge=False)

    async def reset(self, *counters: str) -> None:
        await asyncio.gather(*map(self._reset, counters))

    async def _reset(self, counter: str) -> None:
        key = (self._names + counter).encode()
        try:
            await self._nodes.ask(key, pack("DEL", key))
        except (Away, ServerError):
            if len(self._resets) < _MOST_RESETS:
                self._resets.add(key)

    async def _ask(self, link: Link, key: bytes, limit: int, window: float, *, charge: bool) -> Taken:
        charged = [(key, limit, _milliseconds(window))]
        try:
            now, used, ends = await self._answer(link, charged, charge=charge)
        except (Away, ServerError) as error:
            self._note(error, link)
            return self._pass(limit, window) if charge else _untouched(limit, window)
        admitted = used < limit
        left = limit - used - 1 if charge else limit - used
        return Taken(admitted, limit, max(left, 0), ends / 1000, (ends - now) / 1000 if ends > 0 else 0.0)

    async def _answer(self, link: Link, charged: list[tuple[bytes, int, int]], *, charge: bool) -> list[int]:
        """Return the answer of the script for one counter. Raises Away or ServerError."""
        try:
            return _numbers(await link.call(_by_sha(charged) + (_ONE if charge else _LOOK)))
        except ServerError as error:
            if not str(error).startswith(_ELSEWHERE):
                raise
        # the server has forgotten its scripts, or the key is at another one
        return _numbers(await self._nodes.ask_at(link, charged[0][0], _evaluated(charged, int(charge))))

    def _note(self, error: Exception, link: Link) -> None:
        """Log a refusal, once for each connection."""
        if isinstance(error, ServerError) and self._refused_by is not link:
            self._refused_by = link
            log.warning("count refused by Valkey; requests passed uncounted", reason=str(error))

    def _pass(self, limit: int, window: float) -> Taken:
        self.uncounted += 1
        return _untouched(limit, window)

    def _pass_all(self, charges: Charges) -> list[Taken]:
        self.uncounted += 1
        return [_untouched(charge.limit, charge.window) for charge in charges.each]

    async def _prepare(self, link: Link, probe: bytes, mine: Callable[[bytes], bool]) -> None:
        """Load the script, check that a count can be written (not by a replica, nor without memory), and make the resets that are owed."""
        calls: list[asyncio.Future[Any]] = [
            link.call(pack("SCRIPT", "LOAD", SCRIPT)),
            link.call(_by_sha([(probe, 1, 1)]) + _ONE),
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
        _numbers(answers[1])


def _milliseconds(window: float) -> int:
    return ceil(window * 1000) if window > 0 else 0


def _by_sha(charged: list[tuple[bytes, int, int]]) -> bytes:
    """Return the script's command without its end. charged: keys, limits, windows in milliseconds."""
    arguments = [b"EVALSHA", _SHA.encode(), b"%d" % len(charged), *(key for key, _, _ in charged)]
    for _, limit, milliseconds in charged:
        arguments += (b"%d" % limit, b"%d" % milliseconds)
    return b"*%d\r\n" % (len(arguments) + 1) + b"".join([b"$%d\r\n%b\r\n" % (len(one), one) for one in arguments])


def _evaluated(charged: list[tuple[bytes, int, int]], uses: int) -> bytes:
    """As `_by_sha`, with the script, and whole."""
    numbers = [number for _, limit, milliseconds in charged for number in (limit, milliseconds)]
    return pack("EVAL", SCRIPT, len(charged), *(key for key, _, _ in charged), *numbers, uses)


def _numbers(answer: Any) -> list[int]:
    """Return the answer of the script. Raises ServerError for that of a server which only says something."""
    if not isinstance(answer, list) or len(answer) < 3:
        raise ServerError(f"it answered the script with {answer!r:.60}")
    return answer


def _rows(charges: Charges, answer: list[int]) -> list[tuple[int, int, float, float]]:
    """Read the script's answer: of each counter that was asked its limit, what was left of it before, and `reset_at` and `reset_in`."""
    now, rows, place = answer[0], [], 1
    for charge in charges.each:
        if place == len(answer):
            break
        ends = answer[place + 1]
        rows.append((charge.limit, charge.limit - answer[place], ends / 1000, (ends - now) / 1000 if ends > 0 else 0.0))
        place += 2
    return rows


def _takens(rows: list[tuple[int, int, float, float]], number: int) -> list[Taken]:
    """Return what the counters said to one of those who were charged together. number: of those before it."""
    found: list[Taken] = []
    for limit, left, reset_at, reset_in in rows:
        if number >= left:
            found.append(Taken(False, limit, 0, reset_at, reset_in))
            break
        found.append(_tuple(Taken, (True, limit, left - number - 1, reset_at, reset_in)))
    return found


def _untouched(limit: int, window: float) -> Taken:
    return Taken(True, limit, limit, time.time() + window if window > 0 else 0.0, max(window, 0.0))
