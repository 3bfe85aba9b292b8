"""A service's database with the ORM: what `core_database.py` gives, through sessions.

* `Base`: declarative base with a naming convention, so that migrations can name every constraint.
* `Database`: engine, short transactions with bounded retries, readiness.
"""

from __future__ import annotations

import datetime as dt
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from services.common.core_database import NAMING, Transactions
from services.common.core_database import UTCDateTime as UTCDateTime
from services.common.core_database import create_engine as create_engine
from services.common.core_database import is_transient as is_transient
from services.common.core_database import is_unavailable as is_unavailable
from services.common.core_database import normalise as normalise
from services.common.migrations import migrate as migrate
from services.common.migrations import run_migrations as run_migrations


def new_base() -> type[DeclarativeBase]:
    """A declarative base of a service's own, with the house's naming convention."""

    class Base(DeclarativeBase):
        metadata = sa.MetaData(naming_convention=NAMING)
        type_annotation_map: ClassVar[dict[Any, Any]] = {dt.datetime: UTCDateTime(), dict[str, Any]: sa.JSON(), list[Any]: sa.JSON()}

    return Base


class Database(Transactions[Session]):
    """Transactions are sessions."""

    def __init__(self, url: str, *, pool_size: int = 10, at_once: int | None = None) -> None:
        super().__init__(url, pool_size=pool_size, at_once=at_once)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._readers = sessionmaker(self.reading, expire_on_commit=False)

    def _read(self) -> AbstractContextManager[Session]:
        return self._readers()

    def _transaction(self) -> AbstractContextManager[Session]:
        return self._sessions.begin()
