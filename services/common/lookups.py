"""Lone look-ups: one SELECT, a few rows, one round trip, for what is asked hundreds of times a second.

A `Database.read` on PostgreSQL is five round trips (ping, BEGIN, SELECT, ROLLBACK, and what the ORM does besides); a look-up is one, and a
quarter of the processor time on either store. It sees what is committed at that moment, as every single statement does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from services.common.core_database import LOOKUPS_AT_ONCE, create_engine
from services.common.store_guard import Guard

T = TypeVar("T")


class Lookups:
    """Connections of their own beside the `Database`'s. Thread-safe."""

    def __init__(self, url: str, guard: Guard) -> None:
        """guard: the `Database`'s."""
        self._guard = guard
        self._engine = create_engine(url, pool_size=LOOKUPS_AT_ONCE, lone=True)

    def one(self, statement: sa.Select[*tuple[Any, ...]], parameters: Mapping[str, Any]) -> sa.Row[Any] | None:
        """Read the row of a SELECT, None when there is none. It asks again when a kept connection turns out to be lost.

        Raises StoreUnavailable, the store's error, MultipleResultsFound.
        """
        return self._read(statement, parameters, sa.CursorResult.one_or_none)

    def all(self, statement: sa.Select[*tuple[Any, ...]], parameters: Mapping[str, Any]) -> list[sa.Row[Any]]:
        """Read the rows of a SELECT, as `one`."""
        return self._read(statement, parameters, lambda found: list(found.all()))

    def _read(self, statement: sa.Select[*tuple[Any, ...]], parameters: Mapping[str, Any], take: Callable[[sa.CursorResult[Any]], T]) -> T:
        with self._guard.reads:
            try:
                return self._try(statement, parameters, take)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            return self._try(statement, parameters, take)

    def _try(self, statement: sa.Select[*tuple[Any, ...]], parameters: Mapping[str, Any], take: Callable[[sa.CursorResult[Any]], T]) -> T:
        with self._engine.connect() as connection:
            return take(connection.execute(statement, parameters))

    def dispose(self) -> None:
        self._engine.dispose()
