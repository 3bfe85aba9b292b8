"""Reads of nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from services.mobility import refusals
from services.mobility.models import Layer, Node, Record

GEOMETRIES_MOST: Final = 16 * 1024 * 1024  # bytes of a page as they are kept; ten times as many in memory, and five as text
RECORDS_MOST: Final = 64 * 1024 * 1024  # letters of a page
_AT_ONCE: Final = 1000  # values of one statement
_RECORDS_AT_ONCE: Final = 100  # nodes whose records are read before their size is looked at


def find(session: Session, cdk_id: str, *, geom: bool = True) -> Node | None:
    """Read a node. geom: whether its geometry, which may be long, is read now."""
    statement = sa.select(Node).where(Node.cdk_id == cdk_id)
    return session.execute(statement if geom else statement.options(defer(Node.geom))).scalar_one_or_none()


def by_ids(session: Session, ids: Sequence[int], *, geom: bool) -> list[Node]:
    """Read nodes in this order; those that are gone are left out. geom: as `find`. Raises Refusal 422 when geometries are too long."""
    if geom and len(ids) > 1:
        lengths = (session.scalar(sa.select(sa.func.sum(sa.func.length(Node.geom))).where(Node.id.in_(some))) for some in _batches(ids))
        if sum(length or 0 for length in lengths) > GEOMETRIES_MOST:
            raise refusals.page_too_large("geometries")
    found: dict[int, Node] = {}
    for some in _batches(ids):
        statement = sa.select(Node).where(Node.id.in_(some))
        for node in session.scalars(statement if geom else statement.options(defer(Node.geom))):
            found[node.id] = node
    return [found[one] for one in ids if one in found]


def records(session: Session, node_ids: Sequence[int], layer_ids: Sequence[int] | None = None) -> list[tuple[Record, str]]:
    """Read what layers say of nodes, each with the layer's name, in order of the names. layer_ids: only these; None: all layers.

    Raises Refusal 422 when it is too much.
    """
    statement = sa.select(Record, Layer.name).join(Layer, Layer.id == Record.layer_id).order_by(Layer.name)
    if layer_ids is not None:
        statement = statement.where(Record.layer_id.in_(layer_ids))
    found: list[tuple[Record, str]] = []
    letters = 0
    for some in _batches(node_ids, _RECORDS_AT_ONCE):
        for record, name in session.execute(statement.where(Record.node_id.in_(some))):
            found.append((record, name))
            letters += sum(len(value) for value in record.data.values() if isinstance(value, str))
        if letters > RECORDS_MOST and len(node_ids) > 1:
            raise refusals.page_too_large("data")
    return found


def _batches(ids: Sequence[int], size: int = _AT_ONCE) -> Iterator[Sequence[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
