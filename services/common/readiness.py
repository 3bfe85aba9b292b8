"""Whether a service's database can be worked with: what `/ready` says of it.

Asked at every poll: is there room on the disk (SQLite), is it at the right migration. Every WRITE_EVERY_S, too: does it take a write. A
write that succeeds says nothing of a disk that is full to the last page, because a log that is there already is written over; room on the
disk says nothing of a file that may only be read. Therefore both.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.common.core_database import Transactions, is_transient, is_unavailable, refuses_writes
from services.common.migrations import NewerDatabase, check_migrated

LEAST_FREE_BYTES = 1 << 20  # a transaction needs some pages in the log, and again in the file
WRITE_EVERY_S = 10.0

_SAME_VERSION = sa.text("UPDATE alembic_version SET version_num = version_num")


class NotReady(Exception):
    """Raised by a check; its text is shown by `/ready`."""


class DatabaseCheck:
    """The check of one database."""

    def __init__(self, service: str, database: Transactions[Any]) -> None:
        self._service = service
        self._database = database
        self._next_write = 0.0  # time.monotonic()
        self._served = False  # whether the database has been at the right migration

    def __call__(self) -> None:
        """Check it. Raises NotReady, NotMigrated, or an error that is a mistake of ours."""
        try:
            if self._database.dialect == "sqlite":
                check_room(_folder(self._database))
            self._check_migration()
            self._check_write()
        except Exception as error:
            said = _in_words(error)
            if said is None:
                raise
            raise NotReady(said) from error

    def _check_migration(self) -> None:
        try:
            check_migrated(self._service, self._database)
        except NewerDatabase:
            if not self._served:
                raise
            # An upgrade that is under way: a migration leaves what older processes need until they are replaced.
        else:
            self._served = True

    def _check_write(self) -> None:
        now = time.monotonic()
        if now < self._next_write:
            return
        self._database.run(self._write)
        self._next_write = now + WRITE_EVERY_S

    def _write(self, transaction: Any) -> None:
        """Write, and change nothing that anybody reads."""
        if self._database.dialect == "sqlite":
            # a row that stays the same is not written; nothing else uses this number in the file's header
            number = transaction.execute(sa.text("PRAGMA user_version")).scalar_one()
            transaction.execute(sa.text(f"PRAGMA user_version = {1 - number % 2}"))
        else:
            transaction.execute(_SAME_VERSION)


class DiskSpace(Collector):
    """The room on the disk of an SQLite database, for `/metrics`."""

    def __init__(self, database: Transactions[Any]) -> None:
        self._folder = _folder(database)

    def collect(self) -> Iterator[Metric]:
        """Yield it, when the folder can be looked at."""
        try:
            found = os.statvfs(self._folder)
        except OSError:
            return
        yield GaugeMetricFamily("service_disk_free_bytes", "Room left on the disk of the database.", found.f_bavail * found.f_frsize)
        yield GaugeMetricFamily("service_disk_size_bytes", "Size of the disk of the database.", found.f_blocks * found.f_frsize)


def _folder(database: Transactions[Any]) -> Path:
    return Path(database.engine.url.database or "").absolute().parent


def check_room(folder: Path) -> None:
    """Check the disk. Raises NotReady when there is no room for the database's next pages, OSError for the folder."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < LEAST_FREE_BYTES:
        raise NotReady(f"the disk of the database has {free:,} bytes left")


def _in_words(error: Exception) -> str | None:
    told = str(getattr(error, "orig", None) or error).partition("\n")[0]
    if isinstance(error, OSError):
        return f"the folder of the database cannot be used: {error.strerror}"
    if refuses_writes(error) or is_transient(error):
        return f"the database cannot be written: {told}"
    return "the database does not answer" if is_unavailable(error) else None
