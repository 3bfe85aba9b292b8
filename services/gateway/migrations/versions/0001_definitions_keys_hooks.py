"""API definitions with their revisions, keys with their secrets, webhooks, generations.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "definitions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("api_id", sa.String(128), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("place", sa.String(2048)),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("hook_references", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_definitions"),
        sa.UniqueConstraint("api_id", name="uq_definitions_api_id"),
        sa.UniqueConstraint("place", name="uq_definitions_place"),
    )
    op.create_table(
        "definition_revisions",
        sa.Column("definition_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("api_id", sa.String(128), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True)),
        sa.Column("hook_references", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("definition_id", "number", name="pk_definition_revisions"),
    )
    op.create_index("ix_definition_revisions_api_id", "definition_revisions", ["api_id"])
    op.create_table(
        "keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("user_name", sa.Text()),
        sa.Column("opens_all", sa.Boolean(), nullable=False),
        sa.Column("session", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("last_used_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
    )
    op.create_table(
        "key_secrets",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("ends_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("hash", name="pk_key_secrets"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_key_secrets_key_id_keys", ondelete="CASCADE"),
    )
    op.create_index("ix_key_secrets_key_id", "key_secrets", ["key_id"])
    op.create_table(
        "key_rights",
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("api_id", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "api_id", name="pk_key_rights"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_key_rights_key_id_keys", ondelete="CASCADE"),
    )
    op.create_index("ix_key_rights_api_id", "key_rights", ["api_id"])
    op.create_table(
        "hooks",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hooks"),
    )
    generations = op.create_table(
        "generations",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_generations"),
    )
    # there from the start, so that two first writers do not both insert it
    op.bulk_insert(generations, [{"name": "definitions", "number": 0}, {"name": "keys", "number": 0}])


def downgrade() -> None:
    for table in ("generations", "hooks", "key_rights", "key_secrets", "keys", "definition_revisions", "definitions"):
        op.drop_table(table)
