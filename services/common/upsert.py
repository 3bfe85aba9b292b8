"""INSERT … ON CONFLICT, which SQLAlchemy has for each store apart."""

from __future__ import annotations

from typing import Any


def insert(dialect: str, table: Any) -> Any:
    """Return an INSERT that has `on_conflict_do_update` and `on_conflict_do_nothing`.

    dialect: the name of the store's. table: a Table, or a class that is mapped to one.
    """
    # Imported here: the other store's dialect would stay in every worker with 1 to 3 MB.
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)
