"""The migrations make the tables that the stores describe."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.gateway.stores import definitions, files, hooks, keys
from services.gateway.stores.base import metadata

_OURS = {"definitions", "definition_revisions", "generations", "hooks", "keys", "key_secrets", "key_rights"}


def test_migrated_and_described_tables_are_the_same(database_url: str) -> None:
    assert definitions and files and hooks and keys
    migrate("gateway", database_url)
    database = CoreDatabase(database_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [one for one in compare_metadata(context, metadata) if _OURS & set(_tables(one))]
    database.dispose()
    assert differences == []


def _tables(difference: object) -> list[str]:
    """Every name in alembic's description of a difference that may be a table's."""
    parts = difference if isinstance(difference, list | tuple) else [difference]
    found = []
    for part in parts:
        if isinstance(part, list | tuple):
            found += _tables(part)
        else:
            found += [str(name) for name in (part, getattr(part, "name", ""), getattr(getattr(part, "table", None), "name", ""))]
    return found
