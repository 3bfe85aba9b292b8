"""Places that an account is known at, and which access tokens end with the login key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "familiar",
        sa.Column("place", sa.String(80), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_familiar_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("place", name="pk_familiar"),
    )
    op.create_index("ix_familiar_seen_at", "familiar", ["seen_at"])
    op.create_index("ix_familiar_user_id", "familiar", ["user_id"])
    op.add_column("access_tokens", sa.Column("by_login_key", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("access_tokens", "by_login_key")
    op.drop_table("familiar")
