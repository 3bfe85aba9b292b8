"""The tables of an outbox whose service has names of its own for them."""

from __future__ import annotations

import sqlalchemy as sa

from services.common.core_database import NAMING
from services.common.webhooks.tables import outbox_tables

METADATA = sa.MetaData(naming_convention=NAMING)
TABLES = outbox_tables(METADATA, deliveries="calls", marks="told", subject="thing_id")
