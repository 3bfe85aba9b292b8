"""A history from before undo knew steps can be walked back."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import command

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.gateway.definitions.claims import Claim
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.revisions import redo_target, undo_target
from tests.support.migrating import migrate_to

AT = "'2026-01-01 00:00:00.000000'"


def test_a_history_that_was_there_is_kept(database_url: str) -> None:
    database = CoreDatabase(database_url)
    migrate_to("gateway", "0005", database)
    with database.engine.begin() as connection:
        for number, action in enumerate(("created", "updated", "restored", "deleted"), 1):
            document = "NULL" if action == "deleted" else f"'{json.dumps({'id': 'd', 'api_id': 'a', 'name': action})}'"
            values = f"'d', {number}, 'a', '{action}', {AT}, 'w', '', {document}, '[]'"
            connection.exec_driver_sql(f"INSERT INTO definition_revisions VALUES ({values})")
    migrate("gateway", database_url)
    store = DefinitionStore(database)
    history = store.revisions("a")
    assert [(one.number, one.target) for one in history] == [(4, None), (3, None), (2, None), (1, None)]
    assert (undo_target(history), redo_target(history)) == (3, None)
    raw = store.revision("a", 3).raw
    assert raw is not None
    store.create(raw, [], claim=Claim("/a/", True), who="w", action="undone", target=3, if_match=4)
    assert (undo_target(store.revisions("a")), redo_target(store.revisions("a"))) == (2, 4)
    migrate_to("gateway", "0005", database, command.downgrade)
    with database.read() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM definition_revisions")) == 5
    database.dispose()
