"""The ledger of durable counters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quota_ledger",
        sa.Column("counter", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("window_ends_at", sa.Double(), nullable=True),
        sa.Column("written_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("counter", name=op.f("pk_quota_ledger")),
    )
    op.create_index(op.f("ix_quota_ledger_window_ends_at"), "quota_ledger", ["window_ends_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_quota_ledger_window_ends_at"), "quota_ledger")
    op.drop_table("quota_ledger")
