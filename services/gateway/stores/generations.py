"""Numbers that rise with every write of a kind: a worker that missed an announcement sees by them that it must look again."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.gateway.stores.base import insert, metadata

GENERATIONS: Final = sa.Table(
    "generations",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)


def raise_generation(connection: sa.Connection, name: str) -> None:
    """Inside the writer's transaction, so that the number never moves without the change it stands for."""
    first = insert(connection.dialect.name, GENERATIONS).values(name=name, number=1)
    connection.execute(first.on_conflict_do_update(index_elements=["name"], set_={"number": GENERATIONS.c.number + 1}))


def current(database: CoreDatabase, name: str) -> int:
    """0 = never written."""
    with database.read() as connection:
        return connection.scalar(sa.select(GENERATIONS.c.number).where(GENERATIONS.c.name == name)) or 0
