"""Keeps durable counters over restarts: what was charged is added to a ledger in the database a moment later, never on the event loop.

Charges are written as sums to add, so that two processes on one ledger add up instead of overwriting each other; each learns the common
sum from its next write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from math import inf
from typing import Any, Final, NamedTuple, Protocol

from services.common import logging as logs
from services.gateway.counters.windows import Clocks, Window, Windows
from services.gateway.threads import in_thread

log = logs.get(__name__)

EVERY_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0
LAST_WRITE_S: Final = 5.0
RESET_S: Final = 2.0
SWEEP_S: Final = 60.0


class Entry(NamedTuple):
    """window_ends_at: epoch seconds, None = never. used: to the ledger the uses to add, from it their sum."""

    counter: str
    used: int
    window_ends_at: float | None


class Ledger(Protocol):
    """A table of durable counters, and of what a worker leaves to its successor. Synchronous, called from threads. Raises the store's
    errors.
    """

    def load(self, now: float) -> Sequence[Entry]:
        """Return every counter whose window has not ended at `now` (epoch seconds)."""

    def write(self, forgotten: Collection[str], charges: Sequence[Entry], now: float) -> Sequence[Entry]:
        """Drop the forgotten counters, then add the charges, in one transaction; return the new sums of those charged.

        A charge joins the window in the ledger while that runs (of two ends the earlier one holds), else it begins a new one.
        """

    def sweep(self, now: float) -> None:
        """Drop the counters whose window has ended."""

    def hand_over(self, windows: Sequence[Entry], now: float) -> None:
        """Keep these uses for a successor, apart from the durable counters; added to what is kept already."""

    def take_over(self, now: float) -> Sequence[Entry]:
        """Return what was handed over and still runs, and keep it no longer."""


class WriteBehind:
    """Writes windows to the ledger every half second. While the ledger is away nothing is lost and no request waits; it tries again after
    growing pauses, at most 15 s.

    owed: windows with charges that the ledger does not know; `take` puts them there.
    """

    def __init__(self, ledger: Ledger, windows: Windows, clocks: Clocks) -> None:
        self.owed: dict[str, Window] = {}
        self._ledger = ledger
        self._windows = windows
        self._clocks = clocks
        self._forgotten: set[str] = set()
        self._loaded = False
        self._away = False
        self._swept = clocks.monotonic()
        self._writing = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the ledger (for as long as that takes; a ledger that is away is loaded later), then write behind."""
        await self.write()
        self._task = asyncio.create_task(self._run(), name="counters-write-behind")

    async def stop(self) -> None:
        """Write the rest; gives up on a database that does not answer for 5 s."""
        if self._task is None:
            return
        self._stopping.set()
        task: asyncio.Task[Any] = self._task
        self._task = None
        _, late = await asyncio.wait({task}, timeout=LAST_WRITE_S)
        if not late:
            task = asyncio.create_task(self.write())
            _, late = await asyncio.wait({task}, timeout=LAST_WRITE_S)
        if late:
            task.cancel()
            await asyncio.wait({task})
        if self.owed:
            log.error("quota charges lost", counters=len(self.owed))

    async def forget(self, counters: Collection[str]) -> None:
        """Drop counters from the ledger, with one write; waits up to 2 s for it, then it is done later."""
        for counter in counters:
            self.owed.pop(counter, None)
        self._forgotten.update(counters)
        if self._task is not None:
            await asyncio.wait({asyncio.create_task(self.write())}, timeout=RESET_S)

    async def write(self) -> bool:
        """Write to the ledger what it does not know; return False when it is away. Never raises because of the ledger."""
        async with self._writing:
            try:
                if not self._loaded:
                    self._adopt_all(await in_thread(self._ledger.load, self._epoch()))
                    self._loaded = True
                if self._clocks.jumped():
                    self._restate()
                if self.owed or self._forgotten:
                    await self._write()
                if self._clocks.monotonic() - self._swept > SWEEP_S:
                    self._swept = self._clocks.monotonic()
                    await in_thread(self._ledger.sweep, self._epoch())
            except Exception as error:
                if not self._away:
                    self._away = True
                    log.warning("quota ledger unreachable; charges kept", error=type(error).__name__, detail=str(error))
                return False
            if self._away:
                self._away = False
                log.info("quota ledger reached; charges written")
            return True

    async def _run(self) -> None:
        pause = EVERY_S
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if not self._stopping.is_set():
                pause = EVERY_S if await self.write() else min(pause * 2, LONGEST_PAUSE_S)

    async def _write(self) -> None:
        now = self._clocks.monotonic()
        forgotten, self._forgotten = self._forgotten, set()
        running = [(counter, window, window.unwritten) for counter, window in self.owed.items() if window.ends > now]
        self.owed.clear()
        charges = []
        for counter, window, unwritten in running:
            window.unwritten = 0
            charges.append(Entry(counter, unwritten, self._ends_at(window)))
        charges.sort()  # writers that lock rows in the same order cannot deadlock
        try:
            sums = await in_thread(self._ledger.write, forgotten, charges, self._epoch())
        except BaseException:
            for counter, window, unwritten in running:
                if counter not in self._forgotten and self._windows.held.get(counter, window) is window:
                    window.unwritten += unwritten
                    self.owed[counter] = window
            self._forgotten |= forgotten
            raise
        written = {counter: window for counter, window, _ in running}
        for entry in sums:
            if self._windows.held.get(entry.counter) is written[entry.counter]:
                self._adopt(written[entry.counter], entry)

    def _adopt_all(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.counter in self._forgotten:
                continue
            window = self._windows.held.get(entry.counter)
            if window is not None:
                self._adopt(window, entry)
            else:
                self._windows.put(entry.counter, Window(self._ends(entry), entry.used))

    def _adopt(self, window: Window, entry: Entry) -> None:
        """Take over the ledger's sum and end: others may have charged the same window, or begun it earlier."""
        window.used = entry.used + window.unwritten
        if entry.window_ends_at != self._ends_at(window):
            window.ends = min(window.ends, self._ends(entry))

    def _restate(self) -> None:
        """Write the running windows again: the wall clock was set, so the ends in the ledger are wrong."""
        now = self._clocks.monotonic()
        for counter, window in self._windows.held.items():
            if now < window.ends < inf:
                self._forgotten.add(counter)
                window.unwritten = window.used
                self.owed[counter] = window
        log.warning("clock set; running windows kept", restated=len(self._forgotten))

    def _epoch(self) -> float:
        return self._clocks.monotonic() + self._clocks.offset

    def _ends_at(self, window: Window) -> float | None:
        return None if window.ends == inf else window.ends + self._clocks.offset

    def _ends(self, entry: Entry) -> float:
        return inf if entry.window_ends_at is None else entry.window_ends_at - self._clocks.offset
