"""Tables of the mobility service: session keys of owners, layers, nodes with the members of routes, and what layers say of nodes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.database import Conventions, SQLAlchemy


class Base(Conventions, DeclarativeBase):
    """What all tables of the service share."""


db = SQLAlchemy(model_class=Base)

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite's integers have 64 bits all the same


class OwnerSession(Base):
    """The one session key of an owner, who is a user at auth. key_digest: SHA-256, in hex. ends_at: a minute after the last write.

    password_stamp: auth's, at login: the session ends when the password changes. last_at: when it ends in any case, because it was opened
    with a login key, which ends then; None with a password.
    """

    __tablename__ = "sessions"

    owner_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    key_digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    password_stamp: Mapped[str] = mapped_column(sa.String(64))
    ends_at: Mapped[dt.datetime]
    last_at: Mapped[dt.datetime | None]


class Layer(Base):
    """A layer: one owner's data about nodes. owner_id: of the user at auth; empty: any super user's. owner: its e-mail.

    realtime: then `update_rate` (seconds) is shown, else the validity. status: the text that importers leave. min_lon … max_lat: a box
    around all that was ever written to it, in degrees; None before the first node.
    """

    __tablename__ = "layers"
    __table_args__ = ({"sqlite_autoincrement": True},)  # a deletion in pieces must not come upon another layer under the same id

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100), unique=True)
    category: Mapped[str] = mapped_column(sa.String(100))
    organization: Mapped[str] = mapped_column(sa.String(200))
    description: Mapped[str] = mapped_column(sa.Text)
    owner_id: Mapped[str] = mapped_column(sa.String(64))
    owner: Mapped[str] = mapped_column(sa.String(254))
    data_sources: Mapped[list[Any]]
    realtime: Mapped[bool]
    update_rate: Mapped[int | None]
    valid_from: Mapped[dt.datetime | None]
    valid_to: Mapped[dt.datetime | None]
    status: Mapped[str] = mapped_column(sa.Text)
    imported_at: Mapped[dt.datetime | None]
    min_lon: Mapped[float | None] = mapped_column(sa.Double)
    min_lat: Mapped[float | None] = mapped_column(sa.Double)
    max_lon: Mapped[float | None] = mapped_column(sa.Double)
    max_lat: Mapped[float | None] = mapped_column(sa.Double)


class Node(Base):
    """A thing with a place. id: in the order of creation. cdk_id: its public id. given_id: as its creator sent it, None for others.

    node_type: `node`, `route`, `ptstop` or `ptline`. layer_id: of the layer that created it; None when that has deleted it while others
    have data there. modalities: bits (`modalities.py`), None when it has none of its own. geom: WKB in EPSG:4326; min_lon … max_lat: its
    box, in degrees. An index finds boxes: on SQLite the R*Tree `nodes_boxes`, which triggers keep; on PostgreSQL a GiST index.
    """

    __tablename__ = "nodes"
    __table_args__ = (
        sa.CheckConstraint("node_type IN ('node', 'route', 'ptstop', 'ptline')", name="node_type"),
        sa.Index("ix_nodes_layer_id_id", "layer_id", "id"),  # a layer's nodes in their order
        # most nodes are plain ones: a list of the others must not walk past them
        sa.Index(
            "ix_nodes_node_type_id",
            "node_type",
            "id",
            sqlite_where=sa.text("node_type <> 'node'"),
            postgresql_where=sa.text("node_type <> 'node'"),
        ),
    )

    id: Mapped[int] = mapped_column(_BIG, primary_key=True)
    cdk_id: Mapped[str] = mapped_column(sa.String(255), unique=True)
    given_id: Mapped[str | None] = mapped_column(sa.String(255))
    name: Mapped[str | None] = mapped_column(sa.Text)
    node_type: Mapped[str] = mapped_column(sa.String(6))
    layer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("layers.id"))
    modalities: Mapped[int | None]
    min_lon: Mapped[float] = mapped_column(sa.Double)
    min_lat: Mapped[float] = mapped_column(sa.Double)
    max_lon: Mapped[float] = mapped_column(sa.Double)
    max_lat: Mapped[float] = mapped_column(sa.Double)
    geom: Mapped[bytes]


class Member(Base):
    """A node that a route goes through. position: from 0 on."""

    __tablename__ = "members"

    route_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    node_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id"), index=True)


class Record(Base):
    """What a layer says of a node. data: flat, JSON scalars by key. modalities: bits. valid_from, valid_to: when it holds."""

    __tablename__ = "records"
    __table_args__ = (sa.Index("ix_records_layer_id_node_id", "layer_id", "node_id"),)

    node_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id"), primary_key=True)
    layer_id: Mapped[int] = mapped_column(sa.ForeignKey("layers.id"), primary_key=True)
    data: Mapped[dict[str, Any]]
    modalities: Mapped[int | None]
    valid_from: Mapped[dt.datetime | None]
    valid_to: Mapped[dt.datetime | None]
