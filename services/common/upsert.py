"""INSERT … ON CONFLICT, which SQLAlchemy has once for each store."""

from __future__ import annotations

from typing import Any


def insert(dialect: str, table: Any) -> Any:
    """Return an INSERT that has `on_conflict_do_update` and `on_conflict_do_nothing`.

    dialect: its name, as `Database.dialect`. table: a Table, or a class that is mapped to one.
    """
    # Imported here: the dialect of the other store would cost every worker 1 to 3 MB.
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)
