"""Nodes, routes and records, put into the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.mobility.geometry import geometries
from services.mobility.models import Layer, Member, Node, Record
from tests.unit.mobility.conftest import API


def add(
    api: API,
    cdk_id: str,
    geom: Mapping[str, Any],
    *,
    layer: str = "osm",
    data: Mapping[str, Any] | None = None,
    members: Sequence[str] = (),
    **columns: Any,
) -> None:
    """Add a node. data: what its layer says of it. members: cdk_ids. columns: others of the node."""
    with api.parts.database.transaction() as session:
        layer_id = session.query(Layer).where(Layer.name == layer).one().id
        kept = geometries.read(geom)
        box = {"min_lon": kept.box.west, "min_lat": kept.box.south, "max_lon": kept.box.east, "max_lat": kept.box.north}
        node = Node(**{"node_type": "node", "cdk_id": cdk_id, "layer_id": layer_id, "geom": kept.wkb, **box, **columns})
        session.add(node)
        session.flush()
        if data is not None:
            session.add(Record(node_id=node.id, layer_id=layer_id, data=dict(data)))
        for position, member in enumerate(members):
            member_id = session.query(Node).where(Node.cdk_id == member).one().id
            session.add(Member(route_id=node.id, position=position, node_id=member_id))
