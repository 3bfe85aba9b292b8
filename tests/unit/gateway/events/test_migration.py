"""The migration makes the tables that the outbox describes."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.gateway.stores import events
from services.gateway.stores.base import metadata

TABLES = {events.TABLES.deliveries.name, events.TABLES.marks.name}


def test_migrated_and_described_tables_are_the_same(database_url: str) -> None:
    migrate("gateway", database_url)
    database = CoreDatabase(database_url)
    options = {"compare_type": True, "include_name": lambda name, kind, _: kind != "table" or name in TABLES}
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        ours = [table for table in metadata.sorted_tables if table.name in TABLES]
        assert len(ours) == 2
        differences = [one for one in compare_metadata(context, metadata) if any(table in str(one) for table in TABLES)]
    database.dispose()
    assert differences == []
