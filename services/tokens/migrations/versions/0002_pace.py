"""When an interaction got its token: from that the queue knows its pace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("interactions", sa.Column("done_at", UTCDateTime(), nullable=True))
    op.create_index("ix_interactions_done_at", "interactions", ["done_at"])


def downgrade() -> None:
    op.drop_index("ix_interactions_done_at", "interactions")
    op.drop_column("interactions", "done_at")
