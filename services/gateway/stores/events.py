"""The gateway's outbox of webhook calls: its tables, and what `services/common/webhooks` does with them."""

from __future__ import annotations

import copy
from typing import Final, Self

import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.common.webhooks.store import StoredOutbox
from services.common.webhooks.tables import Tables, outbox_tables
from services.gateway.stores.base import metadata
from services.gateway.stores.callers import Caller, owner_in
from services.gateway.stores.definition_table import DEFINITIONS

TABLES: Final[Tables] = outbox_tables(metadata, subject="api_id")


class Outbox(StoredOutbox):
    """The outbox in the gateway's database. The subject of its events is an API."""

    def __init__(self, database: CoreDatabase) -> None:
        super().__init__(database, TABLES)
        self._core = database

    def for_caller(self, caller: Caller) -> Self:
        """Return the outbox as the caller sees it: a delivery belongs to who owns its API now; that of a deleted API to nobody."""
        own = copy.copy(self)
        own._database = caller.on(self._core)
        if caller.org_id:
            mine = sa.select(DEFINITIONS.c.api_id).where(caller.owns(owner_in(DEFINITIONS.c.document)))
            own._shown = TABLES.deliveries.c.subject.in_(mine)
        return own

    def replay(self, id: str, now: float) -> bool:
        return self.get(id) is not None and super().replay(id, now)  # what is not there leaves no record
