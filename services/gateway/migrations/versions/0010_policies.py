"""Policies, and which keys name them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEYS = sa.table("keys", sa.column("id", sa.String), sa.column("session", sa.JSON))
KEY_POLICIES = sa.table("key_policies", sa.column("key_id", sa.String))


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_policies"),
    )
    op.create_table(
        "key_policies",
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("policy_id", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "policy_id", name="pk_key_policies"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_key_policies_key_id_keys", ondelete="CASCADE"),
    )
    op.create_index("ix_key_policies_policy_id", "key_policies", ["policy_id"])


def downgrade() -> None:
    """Switches keys with policies off: code that knows no policies would give them what they say themselves, which is often everything."""
    connection = op.get_bind()
    named = sa.select(KEY_POLICIES.c.key_id)
    for row in connection.execute(sa.select(KEYS.c.id, KEYS.c.session).where(KEYS.c.id.in_(named))).all():
        connection.execute(sa.update(KEYS).where(KEYS.c.id == row.id).values(session={**row.session, "is_inactive": True}))
    op.drop_table("key_policies")
    op.drop_table("policies")
