"""OAuth2: clients, codes, refresh tokens, access tokens, notifications of new tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "oauth_clients",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("api_id", sa.String(128), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("policy_id", sa.String(128), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("meta_data", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_clients"),
    )
    op.create_index("ix_oauth_clients_api_id", "oauth_clients", ["api_id"])
    op.create_table(
        "oauth_codes",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("family", sa.String(32), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("challenge", sa.String(128), nullable=False),
        sa.Column("challenge_method", sa.String(8), nullable=False),
        sa.Column("session", sa.JSON(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("hash", name="pk_oauth_codes"),
        _to_client("oauth_codes"),
    )
    op.create_table(
        "oauth_refresh_tokens",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("family", sa.String(32), nullable=False),
        sa.Column("session", sa.JSON(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("hash", name="pk_oauth_refresh_tokens"),
        _to_client("oauth_refresh_tokens"),
    )
    op.create_table(
        "oauth_tokens",
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("api_id", sa.String(128), nullable=False),
        sa.Column("family", sa.String(32), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_oauth_tokens"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_oauth_tokens_key_id_keys", ondelete="CASCADE"),
        _to_client("oauth_tokens"),
    )
    op.create_table(
        "oauth_notifications",
        sa.Column("delivery_id", sa.String(40), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_oauth_notifications"),
    )
    for table, columns in (
        ("oauth_codes", ("client_id", "expires_at")),
        ("oauth_refresh_tokens", ("client_id", "family", "expires_at")),
        ("oauth_tokens", ("client_id", "family", "expires_at")),
        ("oauth_notifications", ("created_at",)),
    ):
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column])


def _to_client(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["client_id"], ["oauth_clients.id"], name=f"fk_{table}_client_id_oauth_clients", ondelete="CASCADE")


def downgrade() -> None:
    for table in ("oauth_notifications", "oauth_tokens", "oauth_refresh_tokens", "oauth_codes", "oauth_clients"):
        op.drop_table(table)
