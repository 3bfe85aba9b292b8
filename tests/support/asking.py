"""The smallest calls of a database: what tests of a store that does not answer ask it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.common.store_guard import StoreUnavailable


def read(database: CoreDatabase) -> None:
    with database.read() as connection:
        connection.execute(sa.text("SELECT 1"))


def add(connection: sa.Connection) -> None:
    connection.execute(sa.text("INSERT INTO things VALUES (1)"))


def succeeds(work: Callable[[], Any]) -> bool:
    """Run it, and say whether the store did it."""
    try:
        work()
    except (StoreUnavailable, sa.exc.DBAPIError):
        return False
    return True
