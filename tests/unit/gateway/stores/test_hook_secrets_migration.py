"""Secrets of webhooks leave definitions, revisions and the outbox, and what was signed stays signed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.gateway.settings import Settings
from services.gateway.stores.hooks import HookStore
from services.gateway.stores.sealing import Sealing
from tests.support.migrating import migrate_to

JSON = sa.JSON(none_as_null=True)
AT = "'2026-01-01 00:00:00.000000'"


def handler(**meta: Any) -> dict[str, Any]:
    return {"handler_name": "eh_web_hook_handler", "handler_meta": {"method": "POST", "target_path": "http://h/", **meta}}


@pytest.fixture
def before(database_url: str) -> CoreDatabase:
    """A database as it was, with secrets in every place."""
    database = CoreDatabase(database_url)
    migrate_to("gateway", "0003", database)
    handlers = [
        handler(_id="stored", secret="copy"),
        handler(_id="plain", secret="given"),
        handler(Secret="own"),
        handler(_id="gone", secret="lost"),
    ]
    document = {"name": "n", "event_handlers": {"Events": {"AuthFailure": handlers, "KeyExpired": None}}}
    references = [{"event_name": "AuthFailure", "hook": {"id": "stored", "name": "s", "target_path": "http://h/", "secret": "copy"}}, "odd"]
    columns = {"document": document, "references": references}
    with database.engine.begin() as connection:

        def add(statement: str, **values: Any) -> None:
            typed = [sa.bindparam(name, type_=JSON) for name in ("document", "references") if name in values]
            connection.execute(sa.text(statement).bindparams(*typed), values)

        for id, hook in (("stored", {"secret": "of the store"}), ("plain", {})):
            shown = {"id": id, "name": id, "target_path": "http://h/", **hook}
            add(f"INSERT INTO hooks VALUES (:id, :name, :document, {AT}, {AT})", id=id, name=id, document=shown)
        definition = f"INSERT INTO definitions VALUES ('d', 'a', '/a/', '/a/', 'n', 1, :document, :references, {AT}, {AT})"
        add(definition, **columns)
        revision = f"INSERT INTO definition_revisions VALUES ('d', :number, 'a', 'created', {AT}, 'w', '', :document, :references)"
        add(revision, number=1, **columns)
        add(revision, number=2, document=None, references=[])
        delivery = """INSERT INTO deliveries VALUES
            (:id, :hook, 'l', 'E', 'a', 'POST', 'http://h/', '[]', '{}', :secret, 'pending', 0, 1, 2, 1, 0, NULL, NULL, '')"""
        for id, hook, secret in (("one", "stored", "copy"), ("two", "", "own"), ("three", "", "")):
            add(delivery, id=id, hook=hook, secret=secret)
    return database


def everything(database: CoreDatabase, *tables: str) -> str:
    with database.read() as connection:
        return "\n".join(str(row) for table in tables for row in connection.execute(sa.text(f"SELECT * FROM {table}")))


def test_secrets_move_into_the_webhooks(before: CoreDatabase, database_url: str) -> None:
    secrets = ("of the store", "copy", "given", "own", "lost")
    migrate("gateway", database_url)
    left = everything(before, "definitions", "definition_revisions", "deliveries")
    assert not [secret for secret in secrets if f'"{secret}"' in left or f"'{secret}'" in left]
    hooks = HookStore(before, Sealing(before, Settings()))
    shown, total = hooks.page(-1)
    assert total == 4
    assert not [secret for secret in secrets if secret in str(shown)]
    assert all(hook["signed"] for hook in shown)
    assert [hooks.secret(id) for id in ("stored", "plain", "gone")] == ["of the store", "given", "lost"]
    with before.read() as connection:
        document = json.loads(connection.scalar(sa.text("SELECT CAST(document AS TEXT) FROM definitions")) or "")
        former = json.loads(connection.scalar(sa.text("SELECT CAST(document AS TEXT) FROM definition_revisions WHERE number = 1")) or "")
        calls = {row.id: row.hook_id for row in connection.execute(sa.text("SELECT id, hook_id FROM deliveries"))}
    metas = [one["handler_meta"] for one in document["event_handlers"]["Events"]["AuthFailure"]]
    assert [hooks.secret(meta["_id"]) for meta in metas] == ["of the store", "given", "own", "lost"]
    assert former == document
    assert (calls["one"], hooks.secret(calls["two"]), calls["three"]) == ("stored", "own", "")
    before.dispose()


def test_it_can_be_taken_back(before: CoreDatabase, database_url: str) -> None:
    migrate("gateway", database_url)
    migrate_to("gateway", "0003", before, command.downgrade)
    with before.read() as connection:
        documents = [str(row.document) for row in connection.execute(sa.text("SELECT document FROM hooks"))]
        assert connection.scalar(sa.text("SELECT count(*) FROM deliveries WHERE secret = ''")) == 3
    assert any("of the store" in document for document in documents)
    before.dispose()
