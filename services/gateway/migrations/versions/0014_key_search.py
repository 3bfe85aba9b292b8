"""What keys are searched by: tags in a table of their own, aliases without regard to case, and indexes.

Equality of texts of any length is what PostgreSQL's hash indexes are for; a b-tree refuses long ones. SQLite has one kind of index.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_AT_ONCE = 1000
_BY_EQUALITY = ("alias", "owner", "org_id")


def upgrade() -> None:
    op.create_table(
        "key_tags",
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_key_tags_key_id_keys", ondelete="CASCADE"),
    )
    op.create_index("ix_key_tags_key_id", "key_tags", ["key_id"])
    op.create_index("ix_key_tags_tag", "key_tags", ["tag"], postgresql_using="hash")
    op.add_column("keys", sa.Column("alias_folded", sa.Text()))
    for name in _BY_EQUALITY:
        op.create_index(f"ix_keys_{name}", "keys", [name], postgresql_using="hash")
    op.create_index("ix_keys_created_at_id", "keys", ["created_at", "id"])
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    """Fill in what the keys of earlier versions are searched by."""
    text = (sa.column(name, sa.Text()) for name in ("id", "alias", "alias_folded"))
    keys = sa.table("keys", *text, sa.column("session", sa.JSON()))
    tags = sa.table("key_tags", sa.column("key_id", sa.Text()), sa.column("tag", sa.Text()))
    last = ""
    while True:
        chosen = sa.select(keys.c.id, keys.c.alias, keys.c.session).where(keys.c.id > last).order_by(keys.c.id).limit(_AT_ONCE)
        rows = connection.execute(chosen).all()
        if not rows:
            return
        last = rows[-1].id
        folded = sa.update(keys).where(keys.c.id == sa.bindparam("own")).values(alias_folded=sa.bindparam("folded"))
        connection.execute(folded, [{"own": row.id, "folded": row.alias.casefold()} for row in rows])
        found = [{"key_id": row.id, "tag": tag} for row in rows for tag in dict.fromkeys(row.session.get("tags") or ())]
        if found:
            connection.execute(sa.insert(tags), found)


def downgrade() -> None:
    op.drop_index("ix_keys_created_at_id", "keys")
    for name in _BY_EQUALITY:
        op.drop_index(f"ix_keys_{name}", "keys")
    op.drop_column("keys", "alias_folded")
    op.drop_table("key_tags")
