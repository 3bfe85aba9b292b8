"""The gateway's outbox of webhook calls: its tables, and what `services/common/webhooks` does with them."""

from __future__ import annotations

from typing import Final

from services.common.core_database import CoreDatabase
from services.common.webhooks.store import StoredOutbox
from services.common.webhooks.tables import Tables, outbox_tables
from services.gateway.stores.base import metadata

TABLES: Final[Tables] = outbox_tables(metadata, subject="api_id")


class Outbox(StoredOutbox):
    """The outbox in the gateway's database. The subject of its events is an API."""

    def __init__(self, database: CoreDatabase) -> None:
        super().__init__(database, TABLES)
