"""Which batch of analytics each worker wrote last, so that one whose commit was not answered is not written again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "analytics_writers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_analytics_writers"),
    )


def downgrade() -> None:
    op.drop_table("analytics_writers")
