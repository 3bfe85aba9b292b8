"""Keys of a version that did not search are found after the migration, on each store."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import command

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.gateway.settings import Settings
from services.gateway.stores.keys import KeyStore, Search
from services.gateway.stores.sealing import Sealing
from tests.support.migrating import migrate_to

_INSERT = sa.text(
    "INSERT INTO keys (id, org_id, alias, owner, opens_all, session, created_at, updated_at)"
    " VALUES (:id, 'default', :alias, 'team', :opens_all, :session, :at, :at)"
)


def test_there_and_back(database_url: str) -> None:
    database = CoreDatabase(database_url)
    migrate_to("gateway", "0013", database)
    keys = [(f"k{number:04}", f"Größe {number}", {"tags": ["t", "t", f"t{number % 7}"] if number % 2 else None}) for number in range(2100)]
    moment = "2026-01-01 00:00:00+00:00" if database_url.startswith("postgresql") else "2026-01-01 00:00:00.000000"
    with database.engine.begin() as connection:
        rows = [{"id": id, "alias": alias, "opens_all": True, "session": json.dumps(session), "at": moment} for id, alias, session in keys]
        connection.execute(_INSERT, rows)
    migrate("gateway", database_url)
    store = KeyStore(database, Sealing(database, Settings(master_key="m" * 32)))
    assert store.page(Search(tags=("t",)))[1] == 1050
    assert store.page(Search(tags=("t3",)))[1] == 150
    assert [key.id for key in store.page(Search(part="grösse 2099"))[0]] == ["k2099"]
    migrate_to("gateway", "0013", database, command.downgrade)
    assert "key_tags" not in sa.inspect(database.engine).get_table_names()
    database.dispose()
