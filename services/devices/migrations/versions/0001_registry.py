"""Devices with their tags, what their batches change, their tokens and parameters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "devices",
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_key", sa.Text(collation="C").with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("type", sa.String(9), nullable=False),
        sa.Column("network", sa.String(64), nullable=True),
        sa.Column("connector", sa.String(64), nullable=True),
        sa.Column("chunk_period", sa.String(7), nullable=True),
        sa.Column("chunk_retention", sa.Integer(), nullable=True),
        sa.Column("data_no", sa.Integer(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("visible", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("payload_decoder", sa.Text(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("no", name="pk_devices"),
        sa.UniqueConstraint("id", name="uq_devices_id"),
        sa.CheckConstraint("type IN ('mutable', 'immutable')", name="type"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_devices_account_name_key", "devices", ["account", "name_key", "no"])
    op.create_table(
        "device_tags",
        _device("device_tags"),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("value", sa.String(250), nullable=False),
        sa.PrimaryKeyConstraint("device_no", "key", "value", name="pk_device_tags"),
    )
    op.create_index("ix_device_tags_key_value", "device_tags", ["key", "value", "device_no"])
    op.create_table(
        "device_states",
        _device("device_states"),
        sa.Column("next_seq", _BIG, nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("last_input", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("device_no", name="pk_device_states"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "device_tokens",
        sa.Column("id", sa.String(24), nullable=False),
        _device("device_tokens"),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("permission", sa.String(5), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("last_four", sa.String(4), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=True),
        sa.Column("serial", sa.String(100), nullable=True),
        sa.Column("verification_code", sa.Text(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("last_authorization", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_device_tokens"),
        sa.UniqueConstraint("digest", name="uq_device_tokens_digest"),
        sa.UniqueConstraint("account", "serial", name="uq_device_tokens_account"),
        sa.CheckConstraint("permission IN ('full', 'read', 'write', 'deny')", name="permission"),
    )
    op.create_index("ix_device_tokens_device_no", "device_tokens", ["device_no"])
    op.create_table(
        "params",
        sa.Column("id", sa.String(24), nullable=False),
        _device("params"),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_params"),
        sa.UniqueConstraint("device_no", "key", name="uq_params_device_no"),
    )


def _device(table: str) -> sa.Column[int]:
    return sa.Column(
        "device_no",
        sa.Integer(),
        sa.ForeignKey("devices.no", name=f"fk_{table}_device_no_devices", ondelete="CASCADE"),
        autoincrement=False,
        nullable=False,
    )


def downgrade() -> None:
    for table in ("params", "device_tokens", "device_states", "device_tags", "devices"):
        op.drop_table(table)
