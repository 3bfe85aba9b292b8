"""Counters of one process: exact within it, no waiting. Quotas are written behind to a ledger and so survive a restart; the windows of rate
limits are left there at the end (`handover.py`).

For one worker on one node. Several workers need the Valkey counters to be exact: here each would admit the whole limit, and quotas of the
same ledger agree only about every half second. A process that is killed (-9) loses its rate windows, and the charges to quotas of at most
the last half second.
"""

from __future__ import annotations

import asyncio
import contextlib
from math import inf, nan
from typing import Final

from services.gateway.counters.handover import Handover
from services.gateway.counters.ledger import Ledger, WriteBehind
from services.gateway.counters.port import Charges, Taken
from services.gateway.counters.windows import MOST, Clocks, Window, Windows

_SWEEP_S: Final = 1.0
_SWEPT_AT_ONCE: Final = 2000
_HAND_OVER_S: Final = 3.0
_tuple = tuple.__new__  # half the price of Taken(...), which is a Python function


class MemoryCounters:
    """The `Counters` of one process. `take` and `look` answer directly."""

    at_once = True
    available = True
    round_trip = nan

    def __init__(self, ledger: Ledger | None = None, clocks: Clocks | None = None, most: int = MOST) -> None:
        """Begin empty. ledger: keeps durable counters, None = nothing does. most: bound of the durable and of the other ones, each."""
        self.uncounted = 0
        self._clocks = clocks or Clocks()
        self._monotonic = self._clocks.monotonic
        self._passing = Windows(most)
        self._durable = Windows(most)
        self._passing_held, self._durable_held = self._passing.held, self._durable.held
        self._behind = WriteBehind(ledger, self._durable, self._clocks) if ledger is not None else None
        self._owed = self._behind.owed if self._behind is not None else None
        self._handover = Handover(ledger, self._passing, self._clocks) if ledger is not None else None
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._behind is not None:
            await self._behind.start()
        if self._handover is not None:
            await self._handover.take()
        self._sweeping = asyncio.create_task(self._sweep(), name="counters-sweep")

    async def hand_over(self) -> None:
        if self._handover is not None and self._behind is not None:
            await asyncio.wait({asyncio.create_task(each()) for each in (self._handover.give, self._behind.write)}, timeout=_HAND_OVER_S)

    async def stop(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping
            self._sweeping = None
        if self._handover is not None:
            await asyncio.wait({asyncio.create_task(self._handover.give())}, timeout=_HAND_OVER_S)
        if self._behind is not None:
            await self._behind.stop()

    def take(self, counter: str, limit: int, window: float, durable: bool = False) -> Taken:
        now = self._monotonic()
        held = self._durable_held.get(counter) if durable else self._passing_held.get(counter)
        if held is None or not 0 < (left := held.ends - now) <= window:
            held = self._settle(self._durable if durable else self._passing, counter, held, now, window)
            left = held.ends - now
            if left == inf:
                return self._take_for_ever(counter, held, limit, durable)
        unused = limit - held.used - 1
        if unused < 0:
            return Taken(False, limit, 0, held.ends + self._clocks.offset, left)
        held.used += 1
        if durable and self._owed is not None:  # as `_owe`, written out
            if not held.unwritten:
                self._owed[counter] = held
            held.unwritten += 1
        return _tuple(Taken, (True, limit, unused, held.ends + self._clocks.offset, left))

    def _take_for_ever(self, counter: str, held: Window, limit: int, durable: bool) -> Taken:
        if held.used >= limit:
            return Taken(False, limit, 0, 0.0, 0.0)
        held.used += 1
        if durable:
            self._owe(counter, held)
        return Taken(True, limit, limit - held.used, 0.0, 0.0)

    def _owe(self, counter: str, held: Window) -> None:
        if self._owed is not None:
            if not held.unwritten:
                self._owed[counter] = held
            held.unwritten += 1

    def take_all(self, charges: Charges) -> list[Taken]:
        found: list[Taken] = []
        for charge in charges.each:
            taken = self.take(charge.counter, charge.limit, charge.window, charge.durable)
            found.append(taken)
            if not taken[0]:
                break
        return found

    def look(self, counter: str, limit: int, window: float, durable: bool = False) -> Taken:
        now = self._monotonic()
        held = (self._durable if durable else self._passing).held.get(counter)
        used, ends = (0, inf) if held is None or held.ends <= now else (held.used, held.ends)
        if window > 0:
            ends = min(ends, now + window)
        reset_at, left = (0.0, 0.0) if ends == inf else (ends + self._clocks.offset, ends - now)
        return Taken(used < limit, limit, max(limit - used, 0), reset_at, left)

    async def reset(self, *counters: str) -> None:
        for counter in counters:
            self._passing.drop(counter)
            self._durable.drop(counter)
        if self._behind is not None:
            await self._behind.forget(counters)

    def __len__(self) -> int:
        """Return how many counters are held."""
        return len(self._passing) + len(self._durable)

    def _settle(self, windows: Windows, counter: str, held: Window | None, now: float, window: float) -> Window:
        """Return the window to charge where the held one does not do: it is missing, has ended, never ends, or ends too late."""
        if held is None and self._owed is not None and windows is self._durable:
            held = self._owed.get(counter)  # made room for others, but the ledger does not know all of it yet
            if held is not None and held.ends > now:
                windows.put(counter, held)
        if held is None or held.ends <= now:
            return windows.open(counter, now, window)
        if 0 < window < held.ends - now:
            held.ends = now + window
        return held

    async def _sweep(self) -> None:
        while True:
            now = self._monotonic()
            more = self._passing.retire(now, _SWEPT_AT_ONCE)
            more = self._durable.retire(now, _SWEPT_AT_ONCE) or more
            if self._behind is None:
                self._clocks.jumped()  # the write-behind looks itself, because it must write the ledger again
            await asyncio.sleep(0.01 if more else _SWEEP_S)
