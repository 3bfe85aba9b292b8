"""What the gateway's tables have in common.

They are described with SQLAlchemy's Core: the ORM would cost every worker 6 MB, and rows that are read once and turned into frozen values
gain nothing by it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.common.core_database import NAMING

metadata = sa.MetaData(naming_convention=NAMING)


def insert(dialect: str, table: sa.Table) -> Any:
    """An INSERT that knows `on_conflict_do_update`, which is each store's own."""
    # Imported here: the other store's dialect would stay in every worker with 1 to 3 MB.
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)
