"""Tables of the devices service: devices with their tokens and parameters, and the records that devices send."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.database import Conventions, SQLAlchemy
from services.common.webhooks.tables import outbox_tables


class Base(Conventions, DeclarativeBase):
    """What all tables of the service share."""


db = SQLAlchemy(model_class=Base)

# SQLite numbers rows by itself only in an INTEGER primary key; there it holds 64 bits all the same
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# SQLite sorts by code already; PostgreSQL in the language of its database, which cannot use an index to find what begins with a text
BY_CODE = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")


class Device(Base):
    """One device of an account.

    no: its number inside the database, never used again; tables refer to it, because it is shorter than the id. id: 24 hexadecimal
    digits, what clients see. name_key: the name without its case, by which devices are sorted and found. type: `mutable` or `immutable`.
    chunk_period, chunk_retention: of an immutable one; None otherwise. data_no: what its records refer to; None: `no`. A device that is
    emptied gets a new one, out of the same numbers.
    """

    __tablename__ = "devices"
    __table_args__ = (
        sa.CheckConstraint("type IN ('mutable', 'immutable')", name="type"),
        sa.Index("ix_devices_account_name_key", "account", "name_key", "no"),
        {"sqlite_autoincrement": True},
    )

    no: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    id: Mapped[str] = mapped_column(sa.String(24), unique=True)
    account: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(100))
    name_key: Mapped[str] = mapped_column(BY_CODE)
    description: Mapped[str | None] = mapped_column(sa.Text)
    type: Mapped[str] = mapped_column(sa.String(9))
    network: Mapped[str | None] = mapped_column(sa.String(64))
    connector: Mapped[str | None] = mapped_column(sa.String(64))
    chunk_period: Mapped[str | None] = mapped_column(sa.String(7))
    chunk_retention: Mapped[int | None]
    data_no: Mapped[int | None]
    active: Mapped[bool]
    visible: Mapped[bool]
    tags: Mapped[list[Any]]
    payload_decoder: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class DeviceTag(Base):
    """A tag of a device again, for who looks for devices by their tags."""

    __tablename__ = "device_tags"
    __table_args__ = (sa.Index("ix_device_tags_key_value", "key", "value", "device_no"),)

    device_no: Mapped[int] = mapped_column(sa.ForeignKey("devices.no", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    value: Mapped[str] = mapped_column(sa.String(250), primary_key=True)


class DeviceState(Base):
    """What every batch of a device changes; apart from the device, so that its own row stays quiet.

    Its row is locked for as long as a batch is written: that gives the records of a device their order. next_seq: number of the next
    record. records: how many a mutable device has. last_input: arrival of the newest batch.
    """

    __tablename__ = "device_states"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    device_no: Mapped[int] = mapped_column(sa.ForeignKey("devices.no", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    next_seq: Mapped[int] = mapped_column(BIG)
    records: Mapped[int]
    last_input: Mapped[dt.datetime | None]


class DeviceToken(Base):
    """A token of a device. digest: SHA-256 of the token in hexadecimal; the token itself is shown once.

    account: the device's, within which a serial number is unique. sealed: the token, encrypted, only when it has a serial number, for
    networks that resolve it. verification_code: encrypted, too. last_authorization: when it was used last, to the minute.
    """

    __tablename__ = "device_tokens"
    __table_args__ = (
        sa.CheckConstraint("permission IN ('full', 'read', 'write', 'deny')", name="permission"),
        sa.UniqueConstraint("account", "serial"),
    )

    id: Mapped[str] = mapped_column(sa.String(24), primary_key=True)
    device_no: Mapped[int] = mapped_column(sa.ForeignKey("devices.no", ondelete="CASCADE"), index=True)
    account: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(100))
    permission: Mapped[str] = mapped_column(sa.String(5))
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    last_four: Mapped[str] = mapped_column(sa.String(4))
    expires_at: Mapped[dt.datetime | None]
    serial: Mapped[str | None] = mapped_column(sa.String(100))
    verification_code: Mapped[str | None] = mapped_column(sa.Text)
    sealed: Mapped[str | None] = mapped_column(sa.Text)
    last_authorization: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class Param(Base):
    """A configuration parameter of a device. sent: the device has read it. version: 1 at first, one more at every change of its value."""

    __tablename__ = "params"
    __table_args__ = (sa.UniqueConstraint("device_no", "key"),)

    id: Mapped[str] = mapped_column(sa.String(24), primary_key=True)
    device_no: Mapped[int] = mapped_column(sa.ForeignKey("devices.no", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(sa.String(100))
    value: Mapped[str] = mapped_column(sa.Text)
    sent: Mapped[bool]
    version: Mapped[int]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class Variable(Base):
    """The name of a variable of a device, by the number that records have."""

    __tablename__ = "variables"
    __table_args__ = (sa.UniqueConstraint("device_no", "name"),)

    device_no: Mapped[int] = mapped_column(sa.ForeignKey("devices.no", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(sa.String(100))


class Chunk(Base):
    """A chunk of an immutable device that holds records. starts, ends: milliseconds since 1970, UTC. records: how many."""

    __tablename__ = "chunks"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    device_no: Mapped[int] = mapped_column(sa.ForeignKey("devices.no", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    starts: Mapped[int] = mapped_column(BIG, primary_key=True, autoincrement=False)
    ends: Mapped[int] = mapped_column(BIG)
    records: Mapped[int] = mapped_column(BIG)


class IdempotencyKey(Base):
    """What a client named a batch, so that a repetition is answered and not stored. digest: SHA-256 of the body."""

    __tablename__ = "idempotency_keys"

    device_no: Mapped[int] = mapped_column(sa.ForeignKey("devices.no", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64))
    added: Mapped[int]
    created_at: Mapped[dt.datetime] = mapped_column(index=True)


class Removal(Base):
    """Records that belong to no device any more, and are removed little by little.

    data_no: theirs. retention_class: of immutable ones.
    """

    __tablename__ = "removals"

    data_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    retention_class: Mapped[int | None] = mapped_column(sa.SmallInteger)
    created_at: Mapped[dt.datetime]


class Lease(Base):
    """Which process does what only one should do. until: then another may take it, if it was not renewed."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(sa.String(64))
    until: Mapped[dt.datetime]


def _record_columns() -> list[sa.Column[Any]]:
    """The columns of a record.

    data_no: of its device. time, created_at: milliseconds since 1970, UTC. seq: insertion order within the device; the id is the device's
    `no` and seq in hexadecimal. number: a JSON number; value: the JSON text of any other value, and of a whole number that no double holds
    exactly. location (GeoJSON), metadata: JSON text.
    """
    return [
        sa.Column("number", sa.Double),
        sa.Column("value", sa.Text),
        sa.Column("unit", sa.Text),
        sa.Column("group", sa.Text),
        sa.Column("location", sa.Text),
        sa.Column("metadata", sa.Text),
        sa.Column("created_at", BIG, nullable=False),
    ]


# Records are written and read a thousand at a time, and never as objects with an identity: tables, not mapped classes.
mutable_records = sa.Table(
    "mutable_records",
    Base.metadata,
    sa.Column("data_no", sa.Integer, nullable=False, primary_key=True, autoincrement=False),
    sa.Column("seq", BIG, nullable=False, primary_key=True, autoincrement=False),
    sa.Column("variable_no", sa.Integer, nullable=False),
    sa.Column("time", BIG, nullable=False),
    *_record_columns(),
    sa.Index("ix_mutable_records_data_no", "data_no", "variable_no", "time"),
    sqlite_with_rowid=False,
)
# On SQLite the primary key is the table. PostgreSQL has no primary key here but an index that holds all that sums and averages need: those
# of 20,000 records in 30 days take 6 ms, of 10 million of many devices, instead of 150 from as many places of the table. Equal times are
# sorted by seq when they are read.
immutable_records = sa.Table(
    "immutable_records",
    Base.metadata,
    sa.Column("retention_class", sa.SmallInteger, nullable=False, primary_key=True, autoincrement=False),
    sa.Column("data_no", sa.Integer, nullable=False, primary_key=True, autoincrement=False),
    sa.Column("variable_no", sa.Integer, nullable=False, primary_key=True, autoincrement=False),
    sa.Column("time", BIG, nullable=False, primary_key=True, autoincrement=False),
    sa.Column("seq", BIG, nullable=False, primary_key=True, autoincrement=False),
    *_record_columns(),
    sa.Index("ix_immutable_records_data_no", "data_no", "variable_no", "time", postgresql_include=["number", "retention_class"]).ddl_if(
        dialect="postgresql"
    ),
    sqlite_with_rowid=False,
    postgresql_partition_by="LIST (retention_class)",
)


class Action(Base):
    """What an account wants to be told of: conditions, and the call that is made when a record matches one.

    version: 1 at first, one more when the trigger or the lock is edited. trigger: checked conditions. call: its target and headers.
    sealed: the secret that signs it, encrypted. locked: for devices that have no `ActionState` yet.
    """

    __tablename__ = "actions"

    id: Mapped[str] = mapped_column(sa.String(24), primary_key=True)
    account: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    description: Mapped[str | None] = mapped_column(sa.Text)
    active: Mapped[bool]
    tags: Mapped[list[Any]]
    version: Mapped[int]
    trigger: Mapped[list[Any]]
    call: Mapped[dict[str, Any]]
    sealed: Mapped[str] = mapped_column(sa.Text)
    locked: Mapped[bool]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class ActionState(Base):
    """What the records of a device did to an action. locked: it does not fire until a record frees it. fired_at: the last time."""

    __tablename__ = "action_states"
    __table_args__ = (sa.Index("ix_action_states_action_id_locked_fired_at", "action_id", "locked", "fired_at"),)

    device_no: Mapped[int] = mapped_column(sa.ForeignKey("devices.no", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    action_id: Mapped[str] = mapped_column(sa.ForeignKey("actions.id", ondelete="CASCADE"), primary_key=True)
    locked: Mapped[bool]
    fired_at: Mapped[dt.datetime | None]


class ActionChanges(Base):
    """One row. seq: how often actions were changed, so that a process sees at a glance whether those that it remembers are still right."""

    __tablename__ = "action_changes"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BIG)


# The calls of actions: `hook_id` is the action's id, `device_id` the device's.
outbox = outbox_tables(Base.metadata, marks="delivery_marks", subject="device_id")
sa.Index("ix_deliveries_hook_id_state", outbox.deliveries.c.hook_id, outbox.deliveries.c.state)
