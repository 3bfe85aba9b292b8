"""Reads of nodes."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.mobility.models import Layer, Node, Record


def find(session: Session, cdk_id: str) -> Node | None:
    """Read a node."""
    return session.execute(sa.select(Node).where(Node.cdk_id == cdk_id)).scalar_one_or_none()


def records(session: Session, node_ids: Sequence[int]) -> list[tuple[Record, str]]:
    """Read what all layers say of nodes, each with the layer's name."""
    statement = sa.select(Record, Layer.name).join(Layer, Layer.id == Record.layer_id).where(Record.node_id.in_(node_ids))
    return [(record, name) for record, name in session.execute(statement.order_by(Layer.name))]
