"""A service's database: SQLite on a laptop, PostgreSQL in production, the same code on both.

* `Base`: declarative base with a naming convention, so that migrations can name every constraint.
* `Database`: engine, short transactions with bounded retries, lone look-ups, readiness.
* `migrate(service, url)`: alembic, under a lock, so that two processes that start at once do not collide.

SQLite runs in WAL mode with foreign keys on; a write transaction takes its lock when it begins (`BEGIN IMMEDIATE`), so that two writers
wait for each other instead of failing half-way.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

R = TypeVar("R")

BUSY_TIMEOUT_S = 15.0
ATTEMPTS = 6
LOOKUPS_AT_ONCE = 8  # each takes well under a millisecond of the store; the next ones wait for their turn
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


def new_base() -> type[DeclarativeBase]:
    """A declarative base of a service's own, with the house's naming convention."""

    class Base(DeclarativeBase):
        metadata = sa.MetaData(naming_convention=NAMING)
        type_annotation_map: ClassVar[dict[Any, Any]] = {dt.datetime: UTCDateTime(), dict[str, Any]: sa.JSON(), list[Any]: sa.JSON()}

    return Base


def normalise(url: str) -> sa.URL:
    """A SQLAlchemy URL; `postgresql://` means psycopg 3."""
    parsed = sa.make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def create_engine(url: str, *, pool_size: int = 10, lone: bool = False) -> sa.Engine:
    """An engine with the house's settings. Makes the folder of an SQLite file.

    lone: for statements that stand alone. No transaction around them, no ping before, no rollback after: each is one round trip.
    """
    parsed = normalise(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            parsed,
            connect_args={"timeout": BUSY_TIMEOUT_S},
            pool_size=pool_size,
            max_overflow=20,
            pool_reset_on_return=None if lone else "rollback",
        )
        event.listen(engine, "connect", _prepare_sqlite)
        if not lone:
            event.listen(engine, "begin", _begin_sqlite)
        return engine
    if lone:
        return sa.create_engine(
            parsed,
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,
            pool_size=pool_size,
            max_overflow=0,
            pool_recycle=1800,
            connect_args={"connect_timeout": 5},
        )
    return sa.create_engine(
        parsed, pool_pre_ping=True, pool_size=pool_size, max_overflow=20, pool_recycle=1800, connect_args={"connect_timeout": 5}
    )


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
    """Whether the store itself is away (refused connection, lost connection, full disk), as opposed to a wrong statement."""
    return isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, (OperationalError, sa.exc.InterfaceError)))


class Database:
    """One engine and how to use it. Thread-safe."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.engine = create_engine(url, pool_size=pool_size)
        self.dialect: str = self.engine.dialect.name
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._readers = sessionmaker(self.engine.execution_options(read_only=True), expire_on_commit=False)
        self._lone = create_engine(url, pool_size=LOOKUPS_AT_ONCE, lone=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads; on SQLite it never waits for writers."""
        with self._readers() as session:
            yield session

    def lookup(self, statement: sa.Select[Any], parameters: Mapping[str, Any]) -> sa.Row[Any] | None:
        """The one row of a SELECT, as committed at this moment; None when there is none.

        Costs one round trip and no ORM, a third of a `read`: for what is asked hundreds of times a second. Tried once more when the kept
        connection turns out to be lost. Raises the store's error, MultipleResultsFound.
        """
        for again in (True, False):
            try:
                with self._lone.connect() as connection:
                    return connection.execute(statement, parameters).one_or_none()
            except DBAPIError as error:
                if not (again and error.connection_invalidated):
                    raise
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Session]:
        """One transaction: commits at the end of the block, rolls back on any exception."""
        with self._sessions.begin() as session:
            yield session

    def run(self, work: Callable[[Session], R]) -> R:
        """Run `work` in a transaction, again after a lock or serialization failure (at most 6 times, with short random pauses).

        `work` must have no effect besides the database. Raises what `work` raises, or the store's error when it stays.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self.transaction() as session:
                    return work(session)
            except DBAPIError as error:
                if attempt == ATTEMPTS - 1 or not is_transient(error):
                    raise
                time.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311  spreads retries, no secret
        raise AssertionError("unreachable")

    def check(self) -> None:
        """Raise when the store does not answer."""
        with self.engine.execution_options(read_only=True).connect() as connection:
            connection.execute(sa.text("SELECT 1"))

    def revision(self) -> str | None:
        """The migration this database is at; None when it was never migrated."""
        with self.engine.execution_options(read_only=True).connect() as connection:
            if not sa.inspect(connection).has_table(_VERSIONS.name):
                return None
            return connection.scalar(sa.select(_VERSIONS.c.version_num))

    def dispose(self) -> None:
        self.engine.dispose()
        self._lone.dispose()


def advisory_key(name: str) -> int:
    """A stable number for PostgreSQL's advisory locks."""
    return zlib.crc32(name.encode())


def migrations_folder(service: str) -> Path:
    return Path(__file__).resolve().parents[1] / service / "migrations"


def _alembic_configuration(service: str) -> Any:
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(migrations_folder(service)).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    return configuration


def head_revision(service: str) -> str | None:
    """The newest migration that the code knows: the highest number that a file's name begins with.

    Read without alembic (as in `Database.revision`), which would stay in every serving process with 7 MB.
    """
    return max((file.name.partition("_")[0] for file in (migrations_folder(service) / "versions").glob("[0-9]*_*.py")), default=None)


def migrate(service: str, url: str) -> None:
    """Bring the database of `service` to the newest migration. Safe when several processes do it at once.

    Raises the store's error when it cannot be reached, alembic's CommandError when the database is newer than the code.
    """
    from alembic import command

    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            configuration = _alembic_configuration(service)
            configuration.attributes["connection"] = connection
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": advisory_key(f"migrate {service}")})
                connection.commit()
                try:
                    command.upgrade(configuration, "head")
                    connection.commit()
                finally:
                    connection.rollback()
                    connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": advisory_key(f"migrate {service}")})
                    connection.commit()
            else:
                # the transaction that SQLAlchemy begins here is IMMEDIATE: a second process waits until the first has committed
                with connection.begin():
                    command.upgrade(configuration, "head")
    finally:
        engine.dispose()


def run_migrations(metadata: sa.MetaData) -> None:
    """The whole of a service's `migrations/env.py`: run alembic on the connection that `migrate` made."""
    from alembic import context

    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=False,
        compare_type=True,
    )
    context.run_migrations()
