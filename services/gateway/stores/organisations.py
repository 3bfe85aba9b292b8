"""The sessions of organisations: whether one is switched off, and the limits that all of its APIs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase, UTCDateTime
from services.common.upsert import insert
from services.gateway.stores.base import metadata
from services.gateway.stores.callers import OfCallers
from services.gateway.stores.generations import current, number_of, raise_generation

GENERATION: Final = "organisations"

# session: Tyk's session object.
ORGANISATIONS: Final = sa.Table(
    "organisations",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("session", sa.JSON, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("updated_at", UTCDateTime, nullable=False),
)
_O: Final = ORGANISATIONS.c


class OrganisationStore(OfCallers):
    """Thread-safe."""

    def __init__(self, database: CoreDatabase, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def get(self, id: str) -> dict[str, Any] | None:
        """Return the session of an organisation, None when it has none."""
        with self._database.read() as connection:
            return connection.scalar(sa.select(_O.session).where(_O.id == id, self._caller.owns(_O.id)))

    def ids(self) -> list[str]:
        """Return the organisations that have a session."""
        with self._database.read() as connection:
            return list(connection.scalars(sa.select(_O.id).where(self._caller.owns(_O.id)).order_by(_O.id)))

    def all(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """Return the generation and every session by its organisation, as they were together."""
        with self._database.read() as connection:
            number = number_of(connection, GENERATION)
            return number, {row.id: row.session for row in connection.execute(sa.select(_O.id, _O.session))}

    def put(self, id: str, session: Mapping[str, Any]) -> bool:
        """Store the session of an organisation; return whether it had none."""
        self._caller.check(id)

        def work(connection: sa.Connection) -> bool:
            now = self._clock.now()
            before = connection.scalar(sa.select(_O.session).where(_O.id == id).with_for_update())
            values = {"session": dict(session), "updated_at": now}
            first = insert(connection.dialect.name, ORGANISATIONS).values(id=id, created_at=now, **values)
            connection.execute(first.on_conflict_do_update(index_elements=["id"], set_=values))
            self._caller.tell("organisation", id, before, session, owners=(id, id))
            raise_generation(connection, GENERATION, [id[:64]])
            return before is None

        return self._database.run(work)

    def delete(self, id: str) -> bool:
        """Delete the session of an organisation; return whether it had one."""

        def work(connection: sa.Connection) -> bool:
            mine = sa.and_(_O.id == id, self._caller.owns(_O.id))
            before = connection.scalar(sa.select(_O.session).where(mine).with_for_update())
            if before is None:
                self._caller.idle()
                return False
            connection.execute(sa.delete(ORGANISATIONS).where(mine))
            self._caller.tell("organisation", id, before, None, owners=(id, id))
            raise_generation(connection, GENERATION, [id[:64]])
            return True

        return self._database.run(work)

    def generation(self) -> int:
        """Return the generation, which rises with every write."""
        return current(self._database, GENERATION)
