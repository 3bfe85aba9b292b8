"""Where an undo or a redo went to, so that the next one goes on from there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("definition_revisions", sa.Column("target", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("definition_revisions") as table:
        table.drop_column("target")
