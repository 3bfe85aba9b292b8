"""What pages tell once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("session", sa.String(64), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["browser_sessions.digest"], name="fk_notes_session_browser_sessions", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_notes"),
    )
    op.create_index("ix_notes_expires_at", "notes", ["expires_at"])
    op.create_index("ix_notes_session", "notes", ["session"])


def downgrade() -> None:
    op.drop_table("notes")
