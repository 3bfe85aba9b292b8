"""A service's database without the ORM: SQLite on a laptop, PostgreSQL in production, the same code on both.

`CoreDatabase`: engine, short transactions with bounded retries, readiness. `database.py` is the same with the ORM's sessions, for
services that map classes; the ORM costs 6 MB in every process that imports it.

SQLite runs in WAL mode with foreign keys on; a write transaction takes its lock when it begins (`BEGIN IMMEDIATE`), so that two writers
wait for each other instead of failing half-way.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.types import TypeDecorator

from services.common.private_files import private_database, private_folder

R = TypeVar("R")
T = TypeVar("T")

BUSY_TIMEOUT_S = 15.0
ATTEMPTS = 6
LOOKUPS_AT_ONCE = 8  # each takes well under a millisecond of the store; the next ones wait for their turn
# libpq's: a server that has vanished is noticed within seconds, not when the kernel gives up after a quarter of an hour.
_POSTGRESQL = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_VERSIONS = sa.table("alembic_version", sa.column("version_num", sa.String))
_RETRIED_STATES = frozenset({"40001", "40P01", "55P03"})  # PostgreSQL: serialization failure, deadlock, lock not available

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UTCDateTime(TypeDecorator[dt.datetime]):
    """An aware moment in UTC with microseconds, the same on both stores. Refuses naive values."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime; give it a time zone")
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def normalise(url: str) -> sa.URL:
    """A SQLAlchemy URL; `postgresql://` means psycopg 3."""
    parsed = sa.make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def create_engine(url: str, *, pool_size: int = 10, lone: bool = False) -> sa.Engine:
    """An engine with the house's settings. An SQLite file and its folder are its owner's alone. Raises OSError for the folder.

    lone: for statements that stand alone. No transaction around them, no ping before, no rollback after: each is one round trip.
    Errors, which end up in logs, show no values of statements: there are secrets among them.
    """
    parsed = normalise(url)
    options: dict[str, Any] = {"hide_parameters": True, "pool_size": pool_size, "pool_reset_on_return": None if lone else "rollback"}
    if parsed.get_backend_name() == "sqlite":
        file = None
        if parsed.database and not parsed.database.startswith((":memory:", "file:")):
            file = Path(parsed.database).absolute()
            private_folder(file.parent, also=file.name)
        engine = sa.create_engine(parsed, **options, max_overflow=20, connect_args={"timeout": BUSY_TIMEOUT_S})
        if file is not None:
            event.listen(engine, "do_connect", lambda *_: private_database(file))
        event.listen(engine, "connect", _prepare_sqlite)
        if not lone:
            event.listen(engine, "begin", _begin_sqlite)
        return engine
    options |= {"pool_recycle": 1800, "connect_args": _POSTGRESQL}
    if lone:
        return sa.create_engine(parsed, **options, max_overflow=0, isolation_level="AUTOCOMMIT")
    return sa.create_engine(parsed, **options, max_overflow=20, pool_pre_ping=True)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is run again: lock time-outs, deadlocks, serialization failures."""
    if not isinstance(error, DBAPIError):
        return False
    if getattr(error.orig, "sqlstate", None) in _RETRIED_STATES:
        return True
    text = str(error.orig)
    return isinstance(error, OperationalError) and ("database is locked" in text or "database table is locked" in text)


def is_unavailable(error: BaseException) -> bool:
    """Whether the store itself is away (refused connection, lost connection, full disk, no connection free in time), as opposed to a wrong
    statement.
    """
    if isinstance(error, sa.exc.TimeoutError):
        return True
    return isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, (OperationalError, sa.exc.InterfaceError)))


class Transactions(ABC, Generic[T]):
    """One engine and how to use it. T: what a transaction is used through. Thread-safe."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.engine = create_engine(url, pool_size=pool_size)
        self.dialect: str = self.engine.dialect.name
        self.reading = self.engine.execution_options(read_only=True)

    @abstractmethod
    def read(self) -> contextlib.AbstractContextManager[T]:
        """Only reads; on SQLite it never waits for writers."""

    @abstractmethod
    def transaction(self) -> contextlib.AbstractContextManager[T]:
        """One transaction: commits at the end of the block, rolls back on any exception."""

    def run(self, work: Callable[[T], R]) -> R:
        """Run `work` in a transaction, again after a lock or serialization failure (at most 6 times, with short random pauses).

        `work` must have no effect besides the database. Raises what `work` raises, or the store's error when it stays.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self.transaction() as transaction:
                    return work(transaction)
            except DBAPIError as error:
                if attempt == ATTEMPTS - 1 or not is_transient(error):
                    raise
                time.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311  spreads retries, no secret
        raise AssertionError("unreachable")

    def revision(self) -> str | None:
        """The migration this database is at; None when it was never migrated. Raises the store's error when it does not answer."""
        with self.reading.connect() as connection:
            if not sa.inspect(connection).has_table(_VERSIONS.name):
                return None
            return connection.scalar(sa.select(_VERSIONS.c.version_num))

    def dispose(self) -> None:
        self.engine.dispose()


class CoreDatabase(Transactions[sa.Connection]):
    """Transactions are connections: statements of SQLAlchemy's Core go in, rows come out."""

    def read(self) -> contextlib.AbstractContextManager[sa.Connection]:
        return self.reading.connect()

    def transaction(self) -> contextlib.AbstractContextManager[sa.Connection]:
        return self.engine.begin()
