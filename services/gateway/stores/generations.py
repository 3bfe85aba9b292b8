"""Numbers that rise with every write of a kind, and what each of these writes changed.

A worker that missed an announcement sees by the number that it must look again, and finds in the log what to look for. The number and
its entries are written in the transaction of the change. That transaction holds the row of the number until it ends, so the next writer
waits and gets the next number: a reader that sees a number sees everything up to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.common.upsert import insert
from services.gateway.stores.base import metadata

# This many writes of a kind can be listed one by one; a reader that is further behind takes everything for changed.
KEPT: Final = 10_000

GENERATIONS: Final = sa.Table(
    "generations",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)
# item: what changed; "" in a write that changed nothing that has a name, so that every number has an entry.
CHANGES: Final = sa.Table(
    "changes",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("item", sa.String(64), primary_key=True),
)
_G: Final = GENERATIONS.c
_C: Final = CHANGES.c


@dataclass(frozen=True, slots=True)
class Changes:
    """number: the generation now. entries: what changed in which generation, oldest first; None = unknown, so it may be everything."""

    number: int
    entries: tuple[tuple[int, str], ...] | None

    def items(self) -> set[str]:
        """Return what changed, whenever; empty when that is unknown."""
        return {item for _, item in self.entries or () if item}


def raise_generation(connection: sa.Connection, name: str, items: Iterable[str]) -> int:
    """Raise the generation and log what changed; return the number of this write. items: what it changes.

    Inside the writer's transaction, so that the number never moves without the change it stands for; as its last statement, because all
    writers of this kind wait for each other from here on.
    """
    first = insert(connection.dialect.name, GENERATIONS).values(name=name, number=1)
    raised = first.on_conflict_do_update(index_elements=["name"], set_={"number": _G.number + 1}).returning(_G.number)
    number: int = connection.execute(raised).scalar_one()
    connection.execute(sa.insert(CHANGES), [{"name": name, "number": number, "item": item} for item in sorted({*items} or {""})])
    connection.execute(sa.delete(CHANGES).where(_C.name == name, _C.number <= number - KEPT))
    return number


def current(database: CoreDatabase, name: str) -> int:
    """Return the generation, 0 = never written."""
    with database.read() as connection:
        return number_of(connection, name)


def since(connection: sa.Connection, name: str, seen: int) -> Changes:
    """Return what changed after generation `seen`."""
    number = number_of(connection, name)
    if number == seen:
        return Changes(number, ())
    if not 0 < number - seen <= KEPT:  # a number that fell: an older copy of the database was put in its place
        return Changes(number, None)
    chosen = sa.select(_C.number, _C.item).where(_C.name == name, _C.number > seen, _C.number <= number)
    entries: list[Any] = [tuple(row) for row in connection.execute(chosen.order_by(_C.number, _C.item))]
    complete = len({entry[0] for entry in entries}) == number - seen
    return Changes(number, tuple(entries) if complete else None)


def number_of(connection: sa.Connection, name: str) -> int:
    """As `current`, in a transaction of the caller's."""
    return connection.scalar(sa.select(_G.number).where(_G.name == name)) or 0
