"""What each write changed, for workers that missed its announcement.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("name", "number", "item", name="pk_changes"),
    )


def downgrade() -> None:
    op.drop_table("changes")
