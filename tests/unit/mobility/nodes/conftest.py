"""Nodes made without the bulk call, and what the database says of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.mobility.models import Layer, Member, Node, Record
from tests.unit.mobility.conftest import API


def add_node(api: API, cdk_id: str, layer: str | None = "a.rail", lon: float = 4.9, lat: float = 52.4, members: Sequence[str] = ()) -> None:
    """Add a node of a layer, or of none. members: cdk_ids, of a route."""
    with api.parts.database.transaction() as session:
        node = Node(
            cdk_id=cdk_id,
            node_type="route" if members else "node",
            layer_id=_layer_id(session, layer),
            min_lon=lon,
            min_lat=lat,
            max_lon=lon,
            max_lat=lat,
            geom=struct.pack("<BIdd", 1, 1, lon, lat),
        )
        session.add(node)
        session.flush()
        for position, member in enumerate(members):
            found = session.execute(sa.select(Node.id).where(Node.cdk_id == member)).scalar_one()
            session.add(Member(route_id=node.id, position=position, node_id=found))


def add_record(api: API, cdk_id: str, layer: str, data: dict[str, Any]) -> None:
    with api.parts.database.transaction() as session:
        node_id = session.execute(sa.select(Node.id).where(Node.cdk_id == cdk_id)).scalar_one()
        session.add(Record(node_id=node_id, layer_id=_layer_id(session, layer), data=data))


def record(api: API, cdk_id: str, layer: str = "a.rail") -> Record | None:
    """What a layer says of a node."""
    statement = sa.select(Record).join(Node, Node.id == Record.node_id).join(Layer, Layer.id == Record.layer_id)
    with api.parts.database.read() as session:
        return session.execute(statement.where(Node.cdk_id == cdk_id, Layer.name == layer)).scalar_one_or_none()


def data(api: API, cdk_id: str, layer: str = "a.rail") -> dict[str, Any] | None:
    """The data of a layer on a node, None when there are none."""
    found = record(api, cdk_id, layer)
    return None if found is None else found.data


def node_layer(api: API, cdk_id: str) -> str | None:
    """The layer that created a node; `none`, or None when there is no such node."""
    statement = sa.select(sa.func.coalesce(Layer.name, "none")).select_from(Node).outerjoin(Layer, Layer.id == Node.layer_id)
    with api.parts.database.read() as session:
        return session.execute(statement.where(Node.cdk_id == cdk_id)).scalar_one_or_none()


def _layer_id(session: Any, name: str | None) -> Any:
    return None if name is None else session.execute(sa.select(Layer.id).where(Layer.name == name)).scalar_one()
