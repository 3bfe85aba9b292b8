"""Records of requests, and what they add up to by hour, day and month."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "analytics_records",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("org_id", "api_id", "api_name", "version", "key_id", "alias", "tags")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("oauth_id", "method", "path", "raw_path")),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("request_us", sa.BigInteger(), nullable=False),
        sa.Column("content_length", sa.BigInteger(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("raw_request", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_analytics_records"),
    )
    op.create_index("ix_analytics_records_at", "analytics_records", ["at"])
    op.create_index("ix_analytics_records_expires", "analytics_records", ["expires"])
    op.create_table(
        "analytics_rollups",
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("grain", sa.SmallInteger(), nullable=False),
        sa.Column("api_id", sa.Text(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("hits", "success", "error", "request_us", "last_hit", "expires")),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "grain", "api_id", "start", "org_id", "version", "code", "item", name="pk_analytics_rollups"),
    )
    op.create_index("ix_analytics_rollups_expires", "analytics_rollups", ["expires"])
    op.create_index("ix_analytics_rollups_time", "analytics_rollups", ["kind", "grain", "start"])
    op.create_index("ix_analytics_rollups_item", "analytics_rollups", ["item", "kind", "grain", "start"])


def downgrade() -> None:
    op.drop_table("analytics_rollups")
    op.drop_table("analytics_records")
