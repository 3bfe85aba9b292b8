"""The declarative base of the gateway's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.common.database import new_base

if TYPE_CHECKING:
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase): ...

else:
    Base = new_base()


def insert(dialect: str, table: type[Base]) -> Any:
    """An INSERT that knows `on_conflict_do_update`, which is each store's own."""
    # Imported here: the other store's dialect would stay in every worker with 1 to 3 MB.
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)
