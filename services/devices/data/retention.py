"""The keeper: one process at a time makes PostgreSQL's partitions ahead, and removes in the background what nobody sees any more.

Nothing waits for it. A partition that is missing is made by who needs it, and a chunk that is over is not shown although it is still there.
"""

from __future__ import annotations

import datetime as dt
import functools
import random
import secrets
import threading
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.common import logging as logs
from services.common.clock import Clock
from services.common.core_database import is_transient, is_unavailable
from services.common.database import Database
from services.common.store_guard import LONG_WORK_S
from services.devices.data.ingest.group import KEYS_KEPT
from services.devices.data.rules import chunks
from services.devices.data.rules.fields import milliseconds
from services.devices.data.store import leases, partitions, sweeping
from services.devices.data.store.partitions import Partition

log = logs.get(__name__)

EVERY_S: Final = 60.0
JUMP_S: Final = 600.0  # the wall clock is suspect when it gains so much on the steady one between two looks
SUSPECT_S: Final = 3600.0  # so long nothing is removed then: time to set a clock right
BREATH_S: Final = 0.02  # between two slices: whoever waits for SQLite's lock gets it
_LEASE: Final = "keeper"
_LEASE_LENGTH: Final = dt.timedelta(seconds=2 * LONG_WORK_S)


class Keeper:
    """Runs in a thread of its own from `start` to `close`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._holder = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen = (clock.now(), clock.monotonic())
        self._waits_until = float("-inf")

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it after the slice that it is at."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S * random.uniform(0.5, 1.0)):  # noqa: S311  spreads the processes, no secret
            try:
                self.keep()
            except SQLAlchemyError as error:
                if not (is_unavailable(error) or is_transient(error)):
                    log.exception("keeping failed")
            except Exception:
                log.exception("keeping failed")

    def keep(self) -> bool:
        """Do all that is due, if no other process does; say whether this one did. Raises the store's errors."""
        if not self._trusts_the_clock() or not self._lease():
            return False
        try:
            with self._database.read() as session:
                classes = sweeping.classes(session)
            if self._database.dialect == "postgresql":
                self._make_ahead(classes)
                self._tidy()
            for period, retention in sorted(classes):
                self._sweep(functools.partial(sweeping.old_chunks, period=period, retention=retention, now=self._clock.now()))
            self._sweep(lambda session: sweeping.old_keys(session, self._clock.now() - KEYS_KEPT))
            self._sweep(sweeping.removals)
        finally:
            self._database.run(lambda session: leases.give_back(session, _LEASE, self._holder))
        return True

    def _trusts_the_clock(self) -> bool:
        """Say whether chunks may be dropped by the wall clock: one that jumped ahead by mistake would end chunks that are still wanted.

        A machine that slept looks the same; it waits as well.
        """
        now, steady = self._clock.now(), self._clock.monotonic()
        gained = (now - self._seen[0]).total_seconds() - (steady - self._seen[1])
        self._seen = (now, steady)
        if gained > JUMP_S:
            self._waits_until = steady + SUSPECT_S
            log.warning("clock jumped ahead; nothing is removed for an hour", seconds=round(gained))
        return steady >= self._waits_until

    def _lease(self) -> bool:
        now = self._clock.now()
        dialect = self._database.dialect
        return self._database.run(lambda session: leases.take(session, dialect, _LEASE, self._holder, now, _LEASE_LENGTH))

    def _sweep(self, slice_: Callable[[Session], bool]) -> None:
        """Do slices until nothing is left, this stops, or another process has the lease."""
        while not self._stop.is_set() and self._database.run(slice_):
            self._stop.wait(BREATH_S)
            if not self._lease():
                return

    def _make_ahead(self, classes: set[tuple[str, int]]) -> None:
        """Make the partitions of now and of the last moment that is taken, which is tomorrow."""
        now = self._clock.now()
        wanted = set()
        for period, retention in classes:
            last = chunks.kept(period, retention, now).ends - 1
            for time in (milliseconds(now), last):
                wanted.add(Partition(chunks.retention_class(period, retention), *chunks.span(period, time)))
        self._database.run(lambda session: partitions.make(session, wanted))

    def _tidy(self) -> None:
        """Drop the chunks that are over, and vacuum those that nothing more is written to.

        Detaching waits for those who read the table at the moment, and keeps nobody waiting.
        """
        now = self._clock.now()

        def oldest(retention_class: int) -> int:
            period, retention = chunks.of_class(retention_class)
            return chunks.kept(period, retention, now).starts

        self._database.guard.writes.enter(LONG_WORK_S)
        try:
            with self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text(f"SET statement_timeout = {int(LONG_WORK_S * 1000)}"))
                try:
                    for name in partitions.droppable(connection, oldest):
                        partitions.drop(connection, name)
                        log.info("chunk dropped", table=name)
                    for name in partitions.settled(connection, milliseconds(now)):
                        partitions.vacuum(connection, name)
                finally:
                    connection.invalidate()  # with its own limit
        finally:
            self._database.guard.writes.leave()
