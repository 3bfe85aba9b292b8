"""Notes answered requests and has a thread write them; a request never waits for it.

On the event loop a request appends one tuple to a bounded queue. When the queue is full, because the store is away or too slow, requests
are not recorded, and counted as dropped.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from services.common import logging as logs
from services.common.core_database import is_transient, is_unavailable
from services.gateway.analytics.detail import head_of
from services.gateway.analytics.record import Batch, Noted, Record, record_of
from services.gateway.analytics.rollups import Names, Row, Totals, roll_up
from services.gateway.exchange import Exchange
from services.gateway.threads import give_way, in_thread

log = logs.get(__name__)

# Requests that wait: some 5 MB, at most 150 MB when all have the longest paths and detail.
MOST_WAITING: Final = 20_000
# Requests of one transaction. More at once would keep the event loop waiting for the interpreter.
BATCH: Final = 500
_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
_FLUSH_WITHIN_S: Final = 10.0
_LONGEST_PATH: Final = 2048
_LONGEST_RELATIVE: Final = 1024

Answered = Callable[[Exchange, int, int, int, float], None]
Write = Callable[[Batch, Sequence[Record], Mapping[Row, Totals]], None]


class Recorder:
    """One for each worker. dropped: requests that were not recorded."""

    def __init__(self, write: Write, keep_s: int, *, most: int = MOST_WAITING, now: Callable[[], float] = time.time) -> None:
        """write: of the store, in one transaction; a batch that comes again is written once. keep_s: seconds that records are kept. most:
        requests that may wait.
        """
        self._write_batch = write
        self._keep_s = keep_s
        self._most = most
        self._now = now
        self._waiting: deque[Noted] = deque()
        self._names = Names()
        self._batches = map(Batch, itertools.repeat(secrets.token_hex(8)), itertools.count(1))
        self._thread = threading.Thread(target=self._run, name="analytics", daemon=True)
        self._stopping = threading.Event()
        self._dropped_on_loop = self._dropped_in_thread = 0

    @property
    def dropped(self) -> int:
        return self._dropped_on_loop + self._dropped_in_thread

    def waiting(self) -> int:
        """Return how many requests are not written yet."""
        return len(self._waiting)

    def before(self, write: Answered) -> Answered:
        """Return what notes an answered request and then does `write`. On the event loop; never blocks."""
        waiting, most, now = self._waiting, self._most, self._now

        def record(exchange: Exchange, status: int, size: int, received: int, ended: float) -> None:
            api = exchange.api
            if api is not None and (api.tracked if exchange.tracked is None else exchange.tracked):
                if len(waiting) < most:
                    path = exchange.path[:_LONGEST_PATH]
                    head = head_of(exchange, path) if api.detailed_recording else ""
                    waiting.append((
                        now(), api, exchange.key, exchange.method, path, exchange.relative[:_LONGEST_RELATIVE],
                        exchange.version_name, status, ended - exchange.started, exchange.body_length, head,
                    ))  # fmt: skip
                else:
                    self._full()
            write(exchange, status, size, received, ended)

        return record

    def _full(self) -> None:
        if not self._dropped_on_loop:
            log.warning("analytics records dropped", reason="the store is away or too slow")
        self._dropped_on_loop += 1

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Write what was noted, within ten seconds; what cannot be written is dropped."""
        await in_thread(self._stop)

    def _stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is None:  # it was not started
            return
        self._thread.join(_FLUSH_WITHIN_S)
        if self._thread.is_alive() or self._waiting:
            log.error("analytics records lost", reason="not written in time", records=len(self._waiting))

    def _run(self) -> None:
        give_way()
        ended = False
        while not ended:
            ended = self._stopping.wait(_PAUSE_S)
            while noted := self._taken():
                self._write(noted)

    def _taken(self) -> list[Noted]:
        waiting = self._waiting
        return [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]  # nobody else takes any

    def _write(self, noted: list[Noted]) -> None:
        """Write a batch, again until it is done or the worker stops: the store may be away for a while.

        It may be done although its commit was not answered; by its number the store knows.
        """
        try:
            records = [record_of(one, self._keep_s) for one in noted]
            totals = roll_up(records, self._names)
        except Exception as error:  # what cannot be told must not end the telling of all others
            self._lost(len(noted), "a request cannot be recorded", error)
            return
        batch = next(self._batches)
        pause = 0.1
        while True:
            try:
                self._write_batch(batch, records, totals)
                return
            except Exception as error:
                if not (is_unavailable(error) or is_transient(error)):
                    self._lost(len(noted), "the store does not take them", error)
                    return
                if self._stopping.wait(pause):
                    self._lost(len(noted) + len(self._waiting), "the store is away", error)
                    self._waiting.clear()
                    return
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _lost(self, count: int, why: str, error: Exception) -> None:
        self._dropped_in_thread += count
        log.error("analytics records lost", reason=why, records=count, error=type(error).__name__)
