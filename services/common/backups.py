"""Copies of an SQLite database: made while its service writes, checked, and put back. PostgreSQL has pg_dump and pg_restore for it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.common.core_database import holds_something_else, normalise
from services.common.migrations import known_revisions
from services.common.private_files import create_database, private_folder
from services.common.secret_file import draft, remove_abandoned

_BUSY_S: Final = 10.0
_OURS: Final = "gatehouse {}"


class Unusable(Exception):
    """It cannot be done; the text says why and what to do."""


def database_file(service: str, url: str) -> Path:
    """Return the file of the service's database. Raises Unusable when it is not on SQLite."""
    parsed = normalise(url)
    if parsed.get_backend_name() != "sqlite":
        raise Unusable("its database is on PostgreSQL: use pg_dump and pg_restore, see docs/runbooks.md")
    return Path(parsed.database or "").absolute()


def back_up(service: str, database: Path, backup: Path) -> str:
    """Copy a database, as it is at one moment, into a file that is there whole or not at all; return its migration.

    Nobody who reads or writes waits. The copy is checked, is on the disk, and only its owner reads it. What a backup that was killed has
    left of this file is removed. Raises Unusable, OSError.
    """
    if not database.exists():
        raise Unusable(f"there is no database {database}")
    if backup.exists() and backup.samefile(database):  # its place taken, the service would go on with a file that has no name
        raise Unusable(f"{backup} is the database itself; name another file")
    private_folder(backup.parent)
    remove_abandoned(backup)
    with draft(backup) as file:
        with _opened(database) as source, _opened(Path(file.name)) as copy, _told(f"{database} cannot be copied"):
            _copy(source, copy)
            _refuse_damaged(copy, database)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            copy.execute(f"PRAGMA application_id={_mark(service)}")
            revision = _revision(copy)
        os.fsync(file.fileno())
        os.replace(file.name, backup)
        _settle(backup.parent)
    return revision


def restore(service: str, backup: Path, database: Path) -> str:
    """Put a copy in the place of the database, wholly or not at all; return its migration. Raises Unusable, OSError.

    Refused while a process uses the database, for a damaged copy, one of another service, or one of a newer version.
    """
    if not backup.exists():
        raise Unusable(f"there is no file {backup}")
    if not backup.is_file() or holds_something_else(backup) or backup.stat().st_size == 0:
        raise Unusable(f"{backup} is not an SQLite database")
    with _opened(backup) as source:
        with _told(f"{backup} cannot be read"):
            _refuse_damaged(source, backup)
            marked = source.execute("PRAGMA application_id").fetchone()[0]
            if marked not in (0, _mark(service)):
                raise Unusable(f"{backup} is the backup of another service")
            revision = _revision(source)
        if revision not in known_revisions(service):
            raise Unusable(f"{backup} is at migration {revision}, unknown to this version; restore it with the one that made it")
        private_folder(database.parent, also=database.name)
        if database.exists() and holds_something_else(database):
            raise Unusable(f"{database} is not an SQLite database; move it away")
        create_database(database)
        with _opened(database) as target, _told(f"{database} cannot be written"):
            _refuse_used(target, database)
            _copy(source, target)
    _settle(database.parent)
    return revision


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)) as connection:
        yield connection


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unusable(f"{what}: {error}") from None


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy all of it in one transaction of the target. Raises sqlite3.Error, also when somebody holds one of the two for `_BUSY_S`."""

    def told(status: int, _left: int, _pages: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):  # `backup` would try again for ever
            raise sqlite3.OperationalError("database is locked")

    source.backup(target, progress=told)


def _refuse_damaged(connection: sqlite3.Connection, file: Path) -> None:
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise Unusable(f"{file} is damaged: {found.splitlines()[-1]}")


def _refuse_used(target: sqlite3.Connection, database: Path) -> None:
    """Leave the mode in which several processes share a file, which is possible only to one that is alone."""
    try:
        target.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise Unusable(f"{database} cannot be opened: {error}; move it away, with the files beside it") from None
        raise Unusable(f"a process uses {database}; stop the service first") from None
    except sqlite3.DatabaseError as error:
        raise Unusable(f"{database} cannot be opened: {error}; move it away, with the files beside it") from None


def _revision(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else "none"


def _mark(service: str) -> int:
    """Return the number that tells a backup of this service from those of others; all of them count their migrations from 0001."""
    return zlib.crc32(_OURS.format(service).encode()) & 0x7FFFFFFF


def _settle(folder: Path) -> None:
    """Wait until the disk knows the name of a new file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
