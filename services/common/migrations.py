"""Migrations: alembic, under a lock, so that two processes that start at once do not collide."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.common.core_database import Transactions, create_engine


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

    Read without alembic (as in `Transactions.revision`), which would stay in every serving process with 7 MB.
    """
    return max((file.name.partition("_")[0] for file in _files(service)), default=None)


def _files(service: str) -> Iterable[Path]:
    return (migrations_folder(service) / "versions").glob("[0-9]*_*.py")


class NewerDatabase(Exception):
    """A database was last used by a newer version than this one; the text says so and what to do."""


class NotMigrated(Exception):
    """A database is not at the migration that the code needs; the text says so and what to do."""


def check_migrated(service: str, database: Transactions[Any]) -> None:
    """Raises NotMigrated, or the store's error when it does not answer."""
    have, want = database.revision(), head_revision(service)
    if have != want:
        raise NotMigrated(f"the database is at migration {have}, the code at {want}; run: python -m services.common.migrate {service}")


def migrate(service: str, url: str) -> None:
    """Bring the database of `service` to the newest migration. Safe when several processes do it at once.

    Raises the store's error when it cannot be reached, NewerDatabase when it holds a migration that the code does not know.
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
                    _refuse_newer(service, connection)
                    command.upgrade(configuration, "head")
                    connection.commit()
                finally:
                    connection.rollback()
                    connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": advisory_key(f"migrate {service}")})
                    connection.commit()
            else:
                # the transaction that SQLAlchemy begins here is IMMEDIATE: a second process waits until the first has committed
                with connection.begin():
                    _refuse_newer(service, connection)
                    command.upgrade(configuration, "head")
    finally:
        engine.dispose()


def _refuse_newer(service: str, connection: sa.Connection) -> None:
    """Raises NewerDatabase when the database is at a migration that has no file here."""
    from alembic.runtime.migration import MigrationContext

    known = {file.name.partition("_")[0] for file in _files(service)}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        raise NewerDatabase(
            f"a newer version of Gatehouse has used this database: it is at migration {', '.join(sorted(unknown))}, this code at "
            f"{head_revision(service)}. Run the newer version, or give this one a backup from before or another database"
        )


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
