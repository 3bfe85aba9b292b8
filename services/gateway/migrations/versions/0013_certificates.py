"""Certificates of clients, and of the authorities that vouch for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "certificates",
        sa.Column("id", sa.String(192), nullable=False),
        sa.Column("org_id", sa.String(128), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_certificates"),
    )


def downgrade() -> None:
    op.drop_table("certificates")
