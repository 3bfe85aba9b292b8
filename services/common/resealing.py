"""Seal what a database holds sealed with the first key of the master key, so that its further lines, the former keys, can go.

All in one transaction: killed in the middle, nothing has changed. Services that have all of these keys go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.common.migrations import check_migrated
from services.common.sealing import NotOpened, Seal, keys_of, parse_master_key
from services.common.settings import SettingsError

_AT_ONCE: Final = 1000  # rows in memory


class Sealed(NamedTuple):
    """A column of sealed values. purpose: of its seal. place: the column that the values are bound to, unique, a text."""

    column: sa.Column[Any]
    place: sa.Column[Any]
    purpose: str


class Resealed(NamedTuple):
    """How many values were sealed again, were sealed with the first key already, and open with no key; where the first of these is."""

    again: int = 0
    already: int = 0
    lost: int = 0
    first_lost: str = ""


class Lost(Exception):
    """Some values open with none of the keys, and nothing has changed."""

    def __init__(self, found: Resealed, keys: int) -> None:
        total = found.again + found.already + found.lost
        one = ("there is no master key for", "the key does not open", f"none of the {keys} keys opens")[min(keys, 2)]
        super().__init__(f"nothing has changed: {one} {found.lost} of {total} secrets, the first in {found.first_lost}")


def reseal(connection: sa.Connection, columns: Sequence[Sealed], master_key: str, *, leave_lost: bool) -> Resealed:
    """Seal the values of these columns again, in the transaction of the connection. Raises Lost unless `leave_lost`."""
    again = already = lost = 0
    first_lost = ""
    for sealed in columns:
        table, seal = sealed.column.table, Seal(sealed.purpose, master_key)
        # a value that somebody has replaced meanwhile is left alone: whoever has the keys seals with the first
        same = sa.and_(sealed.place == sa.bindparam("_place"), sealed.column == sa.bindparam("_before"))
        change = sa.update(table).where(same).values({sealed.column.name: sa.bindparam("_after")})
        for piece in _pieces(connection, sealed):
            changes = []
            for at, value in piece:
                try:
                    new = seal.again(value, at)
                except NotOpened:
                    lost += 1
                    first_lost = first_lost or f"{table.name}.{sealed.column.name} of {at}"
                    continue
                if new is None:
                    already += 1
                else:
                    changes.append({"_place": at, "_before": value, "_after": new})
            if changes:
                connection.execute(change, changes)
                again += len(changes)
    found = Resealed(again, already, lost, first_lost)
    if lost and not leave_lost:
        raise Lost(found, len(keys_of(master_key)))
    return found


def _pieces(connection: sa.Connection, sealed: Sealed) -> Iterator[list[tuple[str, str]]]:
    """Places and values."""
    asked = sa.select(sealed.place, sealed.column).where(sealed.column != "").order_by(sealed.place).limit(_AT_ONCE)
    rows = [(place, value) for place, value in connection.execute(asked)]
    while rows:
        yield rows
        rows = [(place, value) for place, value in connection.execute(asked.where(sealed.place > rows[-1][0]))]


def in_database(service: str, url: str, work: Callable[[sa.Connection], Resealed]) -> Resealed:
    """Do `work` in one transaction. url: of the service's database. Raises what `work` raises, NotMigrated, the store's error."""
    database = CoreDatabase(url)
    try:
        check_migrated(service, database)
        return database.run(work)
    finally:
        database.dispose()


def existing_key(setting: str, value: str | None, path: Path) -> str:
    """Return the master key that is there: of the setting, or of its file; "" = none was needed yet. Raises SettingsError."""
    try:
        return value or parse_master_key(path.read_text().strip())
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SettingsError([f"{setting}: {path} cannot be read: {error.strerror}"]) from None
    except ValueError as error:
        raise SettingsError([f"{setting}: {path} {error}"]) from None
