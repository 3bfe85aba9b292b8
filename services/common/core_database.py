"""A service's database without the ORM: SQLite on a laptop, PostgreSQL in production, the same code on both.

`CoreDatabase`: engine, short transactions with bounded retries, readiness. `database.py` is the same with the ORM's sessions, for
services that map classes; the ORM costs 6 MB in every process that imports it.

SQLite runs in WAL mode with foreign keys on, and a commit is on the disk when it returns. A write transaction takes its lock when it
begins (`BEGIN IMMEDIATE`), so that two writers wait for each other instead of failing half-way.

What a store that does not answer may cost is bounded in `store_guard.py`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.types import TypeDecorator

from services.common.private_files import close_database, create_database, private_folder
from services.common.settings import SYNCHRONOUS
from services.common.store_guard import ANSWER_S, FIRST_ANSWER_S, Guard, Guarded, StoreUnavailable, asking, call

R = TypeVar("R")
T = TypeVar("T")

ATTEMPTS = 6
OVERFLOW = 20  # connections above a pool's size, closed again when they come back
LOOKUPS_AT_ONCE = 8  # each takes well under a millisecond of the store; the next ones wait for their turn
MIGRATION_LOCK_S = 24 * 3600.0
_SLACK_S = 0.2  # from the beginning of a call to that of its first transaction
# libpq's: a server that has vanished is noticed within seconds, not when the kernel gives up after a quarter of an hour.
_POSTGRESQL = {
    "connect_timeout": 2,  # the least that libpq knows
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_VERSIONS = sa.table("alembic_version", sa.column("version_num", sa.String))
_MALFORMED = "the host or the port in the URL is malformed; characters such as @ : / in a password must be percent-encoded"
_SQLITE_HEADER = b"SQLite format 3\x00"
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
    """Read a SQLAlchemy URL; `postgresql://` means psycopg 3. Raises ArgumentError, which names no part of the URL."""
    try:
        parsed = sa.make_url(url)
    except ValueError:  # it names what stands in the place of the port: of `USER:P@SS:WORD@HOST` a part of the password
        raise ArgumentError(_MALFORMED) from None
    if "@" in (parsed.host or ""):  # the driver would name the host: of `USER:P@SS@HOST` a part of the password
        raise ArgumentError(_MALFORMED)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def create_engine(
    url: str, *, pool_size: int = 10, lone: bool = False, bounded: bool = True, sqlite_synchronous: str = "FULL"
) -> sa.Engine:
    """Create an engine with the house's settings. Only their owner reads an SQLite file and its folder. Raises OSError for the folder.

    lone: for statements that stand alone. No transaction around them, no ping before, no rollback after: each is one round trip.
    bounded: with the limits of `store_guard`; without them it waits as long as it takes.
    sqlite_synchronous: FULL or NORMAL, see `settings.sqlite_synchronous`.
    Errors, which end up in logs, show no values of statements: there are secrets among them.
    """
    parsed = normalise(url)
    options: dict[str, Any] = {
        "hide_parameters": True,
        "pool_size": pool_size,
        "max_overflow": 0 if lone else OVERFLOW,
        "pool_timeout": ANSWER_S,
        "pool_reset_on_return": None if lone else "rollback",
    }
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed, options, lone=lone, bounded=bounded, synchronous=sqlite_synchronous)
    options["connect_args"] = _POSTGRESQL
    if lone:
        options["isolation_level"] = "AUTOCOMMIT"
    engine = sa.create_engine(parsed, **options, pool_recycle=1800, pool_pre_ping=not lone)
    if bounded:
        from services.common import postgresql  # here: a service on SQLite does without psycopg

        postgresql.bound(engine)
    return engine


def _sqlite_engine(url: sa.URL, options: dict[str, Any], *, lone: bool, bounded: bool, synchronous: str) -> sa.Engine:
    if synchronous not in SYNCHRONOUS:  # SQLite takes any word, and does what it likes
        raise ValueError(f"synchronous is one of {', '.join(SYNCHRONOUS)}, not {synchronous!r}")
    file = None
    if url.database and not url.database.startswith((":memory:", "file:")):
        file = Path(url.database).absolute()
        private_folder(file.parent, also=file.name)
    busy_s = ANSWER_S if bounded else MIGRATION_LOCK_S
    engine = sa.create_engine(url, **options, connect_args={"timeout": busy_s})

    # Prepared before SQLAlchemy asks the first connection what it is, because there one thread waits for the other.
    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        if file is not None:
            create_database(file)
        connection = dialect.connect(*arguments, **options)
        try:
            with asking:
                _prepare_sqlite(connection, synchronous)
        except dialect.loaded_dbapi.Error as error:
            connection.close()
            if isinstance(error, dialect.loaded_dbapi.OperationalError):  # another process holds it exclusively
                call.silent()
            raise
        if file is not None:
            close_database(file)  # now, because a setting may name any file: this one is a database
        return connection

    event.listen(engine, "after_cursor_execute", _hear_sqlite)
    if not lone:
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def holds_something_else(file: Path) -> bool:
    """Say whether a file that exists is something other than an SQLite database. Raises OSError.

    Only for a process that is not connected to it: closing the descriptor here releases SQLite's locks.
    """
    with file.open("rb") as opened:
        head = opened.read(len(_SQLITE_HEADER))
    return bool(head) and head != _SQLITE_HEADER


def _prepare_sqlite(connection: Any, synchronous: str) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA synchronous={synchronous}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _hear_sqlite(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if not statement.startswith(("BEGIN", "PRAGMA")):  # these need not reach the file
        call.answered()


def _begin_sqlite(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("read_only", False):
        connection.exec_driver_sql("BEGIN")
        return
    left_s = call.left_s()
    hurried = left_s < ANSWER_S - _SLACK_S  # the call has waited for its turn, or this is not its first attempt
    if hurried:
        _wait_for_locks(connection, left_s)
    try:
        with asking:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        if is_transient(error) and left_s > FIRST_ANSWER_S:  # a shorter wait says nothing
            call.silent()
        raise
    finally:
        if hurried:
            _wait_for_locks(connection, ANSWER_S)
    call.answered()


def _wait_for_locks(connection: sa.Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"PRAGMA busy_timeout={int(seconds * 1000)}")


def is_transient(error: BaseException) -> bool:
    """Say whether the same transaction may succeed when it is run again: lock time-outs, deadlocks, serialization failures."""
    if not isinstance(error, DBAPIError):
        return False
    if getattr(error.orig, "sqlstate", None) in _RETRIED_STATES:
        return True
    text = str(error.orig)
    return isinstance(error, OperationalError) and ("database is locked" in text or "database table is locked" in text)


def is_unavailable(error: BaseException) -> bool:
    """Say whether the store itself is away, as opposed to a wrong statement.

    Away: a refused or lost connection, no answer in time, a full disk, no connection free in time.
    """
    if isinstance(error, (sa.exc.TimeoutError, StoreUnavailable)):
        return True
    return isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, (OperationalError, sa.exc.InterfaceError)))


def refuses_writes(error: BaseException) -> Literal["full", "read-only"] | None:
    """Say why the store takes no writes; None for any other error."""
    if not isinstance(error, DBAPIError):
        return None
    told = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None) or ""
    if told == "53100" or told.startswith("SQLITE_FULL"):
        return "full"
    return "read-only" if told == "25006" or told.startswith("SQLITE_READONLY") else None


def read_revision(connection: sa.Connection) -> str | None:
    """Read the migration that the database is at; None when it was never migrated."""
    if not sa.inspect(connection).has_table(_VERSIONS.name):
        return None
    return connection.scalar(sa.select(_VERSIONS.c.version_num))


class Transactions(ABC, Generic[T]):
    """One engine and how to use it. T: what a transaction is used through. Thread-safe."""

    def __init__(self, url: str, *, pool_size: int = 10, at_once: int | None = None, sqlite_synchronous: str = "FULL") -> None:
        """at_once: calls that are in the store at the same time; the others wait outside, or are refused when the store does not answer.
        Fewer than the threads of the process, so that some are left for what needs no store. None: as many as there are connections.
        sqlite_synchronous: as `create_engine`.
        """
        self.engine = create_engine(url, pool_size=pool_size, sqlite_synchronous=sqlite_synchronous)
        self.dialect: str = self.engine.dialect.name
        self.reading = self.engine.execution_options(read_only=True)
        connections = pool_size + OVERFLOW
        self.guard = Guard(min(at_once or connections, connections), together=self.dialect != "sqlite")

    @abstractmethod
    def _read(self) -> contextlib.AbstractContextManager[T]: ...

    @abstractmethod
    def _transaction(self) -> contextlib.AbstractContextManager[T]: ...

    def read(self, *, patient: bool = False) -> contextlib.AbstractContextManager[T]:
        """Open a transaction that only reads; on SQLite it never waits for writers.

        patient: for the next piece of an answer that has begun, which must not be cut because the store is busy.
        Raises StoreUnavailable, or the store's error.
        """
        return Guarded(self.guard.reads, self._read, patient=patient)

    def transaction(self) -> contextlib.AbstractContextManager[T]:
        """Open one transaction: it commits at the end of the block, rolls back on any exception. Raises as `read`."""
        return Guarded(self.guard.writes, self._transaction)

    def run(self, work: Callable[[T], R], *, patience_s: float = ANSWER_S) -> R:
        """Run `work` in a transaction, again after a lock or serialization failure (at most 6 times, with short random pauses).

        `work` must have no effect besides the database. patience_s: how long the store may be silent, and how long new attempts begin.
        Raises what `work` raises, StoreUnavailable, or the store's error when it stays.
        """
        self.guard.writes.enter(patience_s)
        try:
            for attempt in range(ATTEMPTS):
                try:
                    with self._transaction() as transaction:
                        return work(transaction)
                except DBAPIError as error:
                    if attempt == ATTEMPTS - 1 or not is_transient(error) or not call.left_s():
                        raise
                    time.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311  spreads retries, no secret
            raise AssertionError("unreachable")
        finally:
            self.guard.writes.leave()

    def revision(self) -> str | None:
        """Read the migration that this database is at; None when it was never migrated. Raises as `read`."""
        with self.guard.reads, self.reading.connect() as connection:
            return read_revision(connection)

    def init_app(self, app: Any) -> None:
        """Register with a Flask application as its extension `database`. app: no Flask is imported here, so that stores may import this."""
        app.extensions["database"] = self

    def dispose(self) -> None:
        self.engine.dispose()


class CoreDatabase(Transactions[sa.Connection]):
    """Transactions are connections: statements of SQLAlchemy's Core go in, rows come out."""

    def _read(self) -> contextlib.AbstractContextManager[sa.Connection]:
        return self.reading.connect()

    def _transaction(self) -> contextlib.AbstractContextManager[sa.Connection]:
        return self.engine.begin()
