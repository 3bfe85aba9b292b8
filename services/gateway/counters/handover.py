"""Carries the running windows of rate limits from a worker that ends to its successor, by way of the ledger.

A worker writes nothing while it serves. It writes once when it takes no more connections, and at its end what it has charged since. The
successor takes what it finds. So a limit that was used up stays used up over a reload and a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from services.common import logging as logs
from services.gateway.counters.ledger import Entry, Ledger
from services.gateway.counters.windows import Clocks, Window, Windows
from services.gateway.threads import in_thread

log = logs.get(__name__)

WITHIN_S: Final = 1.5
AT_ONCE: Final = 5_000


class Handover:
    """One for each worker. windows: those that are not written to the ledger otherwise."""

    def __init__(self, ledger: Ledger, windows: Windows, clocks: Clocks) -> None:
        self._ledger = ledger
        self._windows = windows
        self._clocks = clocks
        self._given: dict[str, tuple[Window, int]] = {}
        self._giving = asyncio.Lock()

    async def take(self) -> None:
        """Take over what the predecessor has left. Never raises: while the ledger is away it stays there, and windows start at zero.

        Cancelled, it ends what has begun first: what was taken from the ledger is nowhere else.
        """
        taking = asyncio.ensure_future(in_thread(self._ledger.take_over, self._epoch()))
        try:
            await asyncio.wait({taking})
        except asyncio.CancelledError:
            await asyncio.wait({taking})
            self._taken(taking)
            raise
        self._taken(taking)

    def _taken(self, taking: asyncio.Future[Sequence[Entry]]) -> None:
        error = taking.exception()
        if error is not None:
            log.warning("rate windows not taken over", error=type(error).__name__)
            return
        for counter, used, window_ends_at in taking.result():
            if window_ends_at is not None:
                self._windows.put(counter, Window(window_ends_at - self._clocks.offset, used))

    async def give(self) -> None:
        """Leave to the successor what was charged in windows that still run. Never raises.

        The most used come first: after 1.5 s the rest is given up, so that a reload does not keep clients waiting.
        """
        async with self._giving:
            now = self._clocks.monotonic()
            owed = [
                (used, counter, window)
                for counter, window in self._windows.held.items()
                if window.ends > now and (used := self._owed(counter, window))
            ]
            owed.sort(key=lambda one: -one[0])
            end = now + WITHIN_S
            try:
                while owed and self._clocks.monotonic() < end:
                    part, owed = owed[:AT_ONCE], owed[AT_ONCE:]
                    # Writers that lock rows in the same order cannot deadlock.
                    entries = sorted(Entry(counter, used, window.ends + self._clocks.offset) for used, counter, window in part)
                    await in_thread(self._ledger.hand_over, entries, self._epoch())
                    for used, counter, window in part:
                        before = self._given.get(counter)
                        known = before[1] if before is not None and before[0] is window else 0
                        self._given[counter] = (window, known + used)
            except Exception as error:
                log.warning("rate windows not handed over", error=type(error).__name__, windows=len(part) + len(owed))
            else:
                if owed:
                    log.warning("rate windows not handed over", reason="no time is left", windows=len(owed))

    def _owed(self, counter: str, window: Window) -> int:
        """Return what was charged to a window and is not handed over yet."""
        given = self._given.get(counter)
        return window.used - given[1] if given is not None and given[0] is window else window.used

    def _epoch(self) -> float:
        return self._clocks.monotonic() + self._clocks.offset
