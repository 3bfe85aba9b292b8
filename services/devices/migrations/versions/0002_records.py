"""Records: the mutable and the immutable ones, and what belongs to them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0002"
down_revision = "0001"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = ("retention_class", "data_no", "variable_no", "time", "seq")


def upgrade() -> None:
    op.create_table(
        "variables",
        _device("variables"),
        sa.Column("no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("device_no", "no", name="pk_variables"),
        sa.UniqueConstraint("device_no", "name", name="uq_variables_device_no"),
    )
    op.create_table(
        "chunks",
        _device("chunks"),
        sa.Column("starts", _BIG, autoincrement=False, nullable=False),
        sa.Column("ends", _BIG, nullable=False),
        sa.Column("records", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("device_no", "starts", name="pk_chunks"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "idempotency_keys",
        _device("idempotency_keys"),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("device_no", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "removals",
        sa.Column("data_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("retention_class", sa.SmallInteger(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("data_no", name="pk_removals"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "mutable_records",
        sa.Column("data_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", _BIG, autoincrement=False, nullable=False),
        sa.Column("variable_no", sa.Integer(), nullable=False),
        sa.Column("time", _BIG, nullable=False),
        *_record(),
        sa.PrimaryKeyConstraint("data_no", "seq", name="pk_mutable_records"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mutable_records_data_no", "mutable_records", ["data_no", "variable_no", "time"])
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "immutable_records",
        sa.Column("retention_class", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("data_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("variable_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", _BIG, autoincrement=False, nullable=False),
        sa.Column("seq", _BIG, autoincrement=False, nullable=False),
        *_record(),
        *([] if postgresql else [sa.PrimaryKeyConstraint(*_KEY, name="pk_immutable_records")]),
        sqlite_with_rowid=False,
        postgresql_partition_by="LIST (retention_class)",
    )
    if postgresql:
        op.create_index(
            "ix_immutable_records_data_no",
            "immutable_records",
            ["data_no", "variable_no", "time"],
            postgresql_include=["number", "retention_class"],
        )


def _device(table: str) -> sa.Column[int]:
    return sa.Column(
        "device_no",
        sa.Integer(),
        sa.ForeignKey("devices.no", name=f"fk_{table}_device_no_devices", ondelete="CASCADE"),
        autoincrement=False,
        nullable=False,
    )


def _record() -> list[sa.Column[Any]]:
    return [
        sa.Column("number", sa.Double(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("value", "unit", "group", "location", "metadata")),
        sa.Column("created_at", _BIG, nullable=False),
    ]


def downgrade() -> None:
    for table in ("immutable_records", "mutable_records", "leases", "removals", "idempotency_keys", "chunks", "variables"):
        op.drop_table(table)
