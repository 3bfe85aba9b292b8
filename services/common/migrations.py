"""Migrations: alembic, under a lock, so that two processes that start at once do not collide."""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.common.core_database import Transactions, create_engine, read_revision

SLOW_S = 1.0  # a lock that takes longer is worth a line


def advisory_key(name: str) -> int:
    """Derive a stable number for PostgreSQL's advisory locks."""
    return zlib.crc32(name.encode())


def migrations_folder(service: str) -> Path:
    return Path(__file__).resolve().parents[1] / service / "migrations"


def _alembic_configuration(service: str) -> Any:
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(migrations_folder(service)).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    return configuration


def known_revisions(service: str) -> list[str]:
    """List the migrations that the code knows, in order: the numbers that the files' names begin with.

    Read without alembic (as in `Transactions.revision`), which would stay in every serving process with 7 MB.
    """
    return sorted(file.name.partition("_")[0] for file in (migrations_folder(service) / "versions").glob("[0-9]*_*.py"))


def head_revision(service: str) -> str | None:
    """Name the newest migration that the code knows."""
    known = known_revisions(service)
    return known[-1] if known else None


class NotMigrated(Exception):
    """A database is not at the migration that the code needs; the text says so and what to do."""


class NewerDatabase(NotMigrated):
    """A database was last used by a newer version than this one."""


def check_migrated(service: str, database: Transactions[Any]) -> None:
    """Check that a database is at the newest migration. Raises NotMigrated, or the store's error when it does not answer."""
    have, want = database.revision(), head_revision(service)
    _check_not_newer(service, have)
    if have != want:
        raise NotMigrated(f"the database is at migration {have}, the code at {want}; run: python -m services.common.migrate {service}")


def _check_not_newer(service: str, have: str | None) -> None:
    if have is not None and have not in known_revisions(service):
        raise NewerDatabase(
            f"a newer version of Gatehouse has used this database: it is at migration {have}, this code at {head_revision(service)}. "
            "Run the newer version, or give this one a backup from before or another database"
        )


def migrate(service: str, url: str, *, say: Callable[[str], None] = lambda _: None) -> None:
    """Bring the database of `service` to the newest migration. Safe when several processes do it at once.

    say: is told what it waits for, when it has to wait. Raises the store's error when it cannot be reached, NewerDatabase.
    """
    engine = create_engine(url, bounded=False)
    try:
        with engine.connect() as connection, _locked(connection, service, say):
            _check_not_newer(service, read_revision(connection))
            _upgrade(service, connection)
    finally:
        engine.dispose()


def _upgrade(service: str, connection: sa.Connection) -> None:
    from alembic import command

    configuration = _alembic_configuration(service)
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")


@contextlib.contextmanager
def _locked(connection: sa.Connection, service: str, say: Callable[[str], None]) -> Iterator[None]:
    """No other process migrates meanwhile; what is done is committed at the end."""
    if connection.dialect.name == "postgresql":
        key = {"key": advisory_key(f"migrate {service}")}
        if not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), key):
            say("another process migrates this database; waiting for it")
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), key)
        connection.commit()
        try:
            yield
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), key)
            connection.commit()
        return
    # the transaction that SQLAlchemy begins here is IMMEDIATE: a second process waits until the first has committed
    with _told_when_slow(say, "another process writes to this database; waiting for it"):
        transaction = connection.begin()
    with transaction:
        yield


@contextlib.contextmanager
def _told_when_slow(say: Callable[[str], None], what: str) -> Iterator[None]:
    timer = threading.Timer(SLOW_S, say, (what,))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def run_migrations(metadata: sa.MetaData) -> None:
    """Run alembic on the connection that `migrate` made: all that a service's `migrations/env.py` does."""
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
