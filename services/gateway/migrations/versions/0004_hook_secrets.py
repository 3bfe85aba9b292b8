"""What webhooks are signed with leaves definitions, revisions and the outbox: it stands in a column of the webhooks alone.

A handler with a secret of its own becomes a webhook, so that its calls stay signed.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import secrets
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

HOOKS = sa.table(
    "hooks",
    sa.column("id", sa.String),
    sa.column("name", sa.Text),
    sa.column("document", sa.JSON),
    sa.column("secret", sa.Text),
    sa.column("created_at", UTCDateTime),
    sa.column("updated_at", UTCDateTime),
)
DEFINITIONS = sa.table("definitions", sa.column("id", sa.String), sa.column("document", sa.JSON), sa.column("hook_references", sa.JSON))
REVISIONS = sa.table(
    "definition_revisions",
    sa.column("definition_id", sa.String),
    sa.column("number", sa.Integer),
    sa.column("document", sa.JSON(none_as_null=True)),
    sa.column("hook_references", sa.JSON),
)
DELIVERIES = sa.table(
    "deliveries",
    sa.column("id", sa.String),
    sa.column("hook_id", sa.Text),
    sa.column("method", sa.String),
    sa.column("url", sa.Text),
    sa.column("secret", sa.Text),
)
GENERATIONS = sa.table("generations", sa.column("name", sa.String), sa.column("number", sa.BigInteger))


class Hooks:
    """The webhooks and their secrets, those included that this migration makes."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._known: dict[str, str] = {}
        self._made: dict[tuple[str, str], str] = {}
        for row in connection.execute(sa.select(HOOKS.c.id, HOOKS.c.document)).all():
            document = dict(row.document)
            self._known[row.id] = _taken(document)
            connection.execute(sa.update(HOOKS).where(HOOKS.c.id == row.id).values(document=document, secret=self._known[row.id]))

    def signing(self, id: str, secret: str, meta: dict[str, Any]) -> str:
        """The id of a webhook that signs with `secret`: the one that was named, unless it is none of ours; then a new one.

        A stored webhook's own secret was what signed its calls, so it stays.
        """
        if self._known.get(id):
            return id
        if id in self._known:
            self._connection.execute(sa.update(HOOKS).where(HOOKS.c.id == id).values(secret=secret))
            self._known[id] = secret
            return id
        place = (secret, str(meta.get("target_path") or ""))
        if not id and place in self._made:
            return self._made[place]
        id = id[:64] or secrets.token_hex(12)
        now = dt.datetime.now(dt.UTC)
        document = {"id": id, **{name: value for name, value in meta.items() if name not in ("_id", "id")}}
        name = str(meta.get("name") or "")
        row = {"id": id, "name": name, "document": document, "secret": secret, "created_at": now, "updated_at": now}
        self._connection.execute(sa.insert(HOOKS).values(row))
        self._known[id] = secret
        self._made[place] = id
        return id


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")  # what is overwritten must not stay in free pages
    op.add_column("hooks", sa.Column("secret", sa.Text(), nullable=False, server_default=""))
    hooks = Hooks(connection)
    for row in connection.execute(sa.select(DEFINITIONS)).all():
        changed = _without_secrets(hooks, row.document, row.hook_references)
        if changed is not None:
            connection.execute(sa.update(DEFINITIONS).where(DEFINITIONS.c.id == row.id).values(changed))
    for row in connection.execute(sa.select(REVISIONS)).all():
        changed = _without_secrets(hooks, row.document, row.hook_references)
        if changed is not None:
            same = sa.and_(REVISIONS.c.definition_id == row.definition_id, REVISIONS.c.number == row.number)
            connection.execute(sa.update(REVISIONS).where(same).values(changed))
    for row in connection.execute(sa.select(DELIVERIES).where(DELIVERIES.c.secret != "")).all():
        id = hooks.signing(row.hook_id, row.secret, {"method": row.method, "target_path": row.url})
        connection.execute(sa.update(DELIVERIES).where(DELIVERIES.c.id == row.id).values(hook_id=id, secret=""))
    with op.batch_alter_table("hooks") as table:
        table.alter_column("secret", server_default=None, existing_type=sa.Text(), existing_nullable=False)
    with op.batch_alter_table("deliveries") as table:
        table.drop_column("secret")
    connection.execute(sa.update(GENERATIONS).where(GENERATIONS.c.name == "definitions").values(number=GENERATIONS.c.number + 1))


def downgrade() -> None:
    op.add_column("deliveries", sa.Column("secret", sa.Text(), nullable=False, server_default=""))
    connection = op.get_bind()
    for row in connection.execute(sa.select(HOOKS.c.id, HOOKS.c.document, HOOKS.c.secret).where(HOOKS.c.secret != "")).all():
        document = {**row.document, "secret": row.secret}
        connection.execute(sa.update(HOOKS).where(HOOKS.c.id == row.id).values(document=document))
    with op.batch_alter_table("hooks") as table:
        table.drop_column("secret")


def _without_secrets(hooks: Hooks, document: Any, references: Any) -> dict[str, Any] | None:
    """The two columns without secrets; None when there were none."""
    document, references = copy.deepcopy(document), copy.deepcopy(references)
    before = json.dumps([document, references])
    for reference in references if isinstance(references, list) else ():
        hook = _member(reference, "hook")
        secret = _taken(hook)
        if secret:
            hook["id"] = hooks.signing(str(hook.get("id") or hook.get("_id") or ""), secret, hook)
    for meta in _metas(document):
        secret = _taken(meta)
        if secret:
            meta["_id"] = hooks.signing(str(meta.get("_id") or meta.get("id") or ""), secret, meta)
    return None if json.dumps([document, references]) == before else {"document": document, "hook_references": references}


def _metas(document: Any) -> Iterator[dict[str, Any]]:
    events = _member(_member(document, "event_handlers"), "events")
    for handlers in events.values() if isinstance(events, dict) else ():
        for handler in handlers if isinstance(handlers, list) else ():
            meta = _member(handler, "handler_meta")
            if isinstance(meta, dict):
                yield meta


def _member(value: Any, name: str) -> Any:
    """Case does not count in the names of Tyk's JSON."""
    return next((member for key, member in value.items() if key.lower() == name), None) if isinstance(value, dict) else None


def _taken(value: Any) -> str:
    """The secret, taken out."""
    found = ""
    for name in [name for name in value if name.lower() == "secret"] if isinstance(value, dict) else ():
        given = value.pop(name)
        found = given if isinstance(given, str) else found
    return found
