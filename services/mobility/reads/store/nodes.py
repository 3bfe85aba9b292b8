"""Reads of nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from services.mobility.models import Layer, Node, Record

_AT_ONCE = 1000  # values of one statement


def find(session: Session, cdk_id: str, *, geom: bool = True) -> Node | None:
    """Read a node. geom: whether its geometry, which may be long, is read now."""
    statement = sa.select(Node).where(Node.cdk_id == cdk_id)
    return session.execute(statement if geom else statement.options(defer(Node.geom))).scalar_one_or_none()


def by_ids(session: Session, ids: Sequence[int], *, geom: bool) -> list[Node]:
    """Read nodes in this order; those that are gone are left out. geom: as `find`."""
    found: dict[int, Node] = {}
    for some in _batches(ids):
        statement = sa.select(Node).where(Node.id.in_(some))
        for node in session.scalars(statement if geom else statement.options(defer(Node.geom))):
            found[node.id] = node
    return [found[one] for one in ids if one in found]


def records(session: Session, node_ids: Sequence[int], layer_ids: Sequence[int] | None = None) -> list[tuple[Record, str]]:
    """Read what layers say of nodes, each with the layer's name, in order of the names. layer_ids: only these; None: all layers."""
    statement = sa.select(Record, Layer.name).join(Layer, Layer.id == Record.layer_id).order_by(Layer.name)
    if layer_ids is not None:
        statement = statement.where(Record.layer_id.in_(layer_ids))
    found: list[tuple[Record, str]] = []
    for some in _batches(node_ids):
        found.extend((record, name) for record, name in session.execute(statement.where(Record.node_id.in_(some))))
    return found


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
