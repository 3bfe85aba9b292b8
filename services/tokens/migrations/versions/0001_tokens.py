"""Tokens, interactions and counters."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("svg", sa.Text(), nullable=False),
        sa.Column("generated", sa.String(64), nullable=False),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("rules", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=True),
        sa.Column("body_digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("idempotency_key", name="uq_tokens_idempotency_key"),
    )
    op.create_index("ix_tokens_position", "tokens", ["position"])
    op.create_table(
        "interactions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("color", sa.String(7), nullable=False),
        sa.Column("keywords", sa.JSON(), nullable=True),
        sa.Column("queue_position", sa.Integer(), nullable=True),
        sa.Column("token_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("requested_at", UTCDateTime(), nullable=False),
        sa.Column("deposited_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_interactions"),
        sa.CheckConstraint("status IN ('incomplete', 'new', 'waiting', 'done')", name="status"),
    )
    op.create_index("ix_interactions_status_seq", "interactions", ["status", "seq"])
    op.create_index("ix_interactions_status_deposited_at", "interactions", ["status", "deposited_at"])
    op.create_index("ix_interactions_status_requested_at", "interactions", ["status", "requested_at"])
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("value", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    # the epoch tells a `seq` of this store from one of a store that was thrown away
    start = {"changes": 0, "requests": 0, "tokens": 0, "epoch": secrets.randbits(32)}
    op.bulk_insert(counters, [{"name": name, "value": value} for name, value in start.items()])


def downgrade() -> None:
    for table in ("counters", "interactions", "tokens"):
        op.drop_table(table)
