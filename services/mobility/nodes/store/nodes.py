"""Nodes in the database, one at a time."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.mobility.geometry.boxes import Box
from services.mobility.models import Member, Node, Record


def find_id(session: Session, cdk_id: str) -> int | None:
    """Return a node's internal id, None when there is no such node."""
    return session.execute(sa.select(Node.id).where(Node.cdk_id == cdk_id)).scalar_one_or_none()


def lock(session: Session, cdk_id: str, *, alone: bool) -> tuple[int, int | None, Box] | None:
    """Find a node and keep it from being deleted until the transaction ends. Returns its internal id, the layer that created it, its box.

    alone: as well keep every other transaction from saying something of it, or taking it into a route. None when there is no such node.
    """
    columns = (Node.id, Node.layer_id, Node.min_lon, Node.min_lat, Node.max_lon, Node.max_lat)
    strength: dict[str, Any] = {} if alone else {"read": True, "key_share": True}  # what foreign keys take, too
    row = session.execute(sa.select(*columns).where(Node.cdk_id == cdk_id).with_for_update(**strength)).one_or_none()
    return None if row is None else (row[0], row[1], Box(*row[2:]))


def has_records(session: Session, node_id: int) -> bool:
    """Say whether a layer says something of a node."""
    return session.execute(sa.select(sa.exists().where(Record.node_id == node_id))).scalar_one()


def is_member(session: Session, node_id: int) -> bool:
    """Say whether a route goes through a node."""
    return session.execute(sa.select(sa.exists().where(Member.node_id == node_id))).scalar_one()


def disown(session: Session, node_id: int) -> None:
    """Let a node be of no layer."""
    session.execute(sa.update(Node).where(Node.id == node_id).values(layer_id=None))


def delete(session: Session, node_id: int) -> None:
    """Delete a node of which no layer says something and that is no member of a route; a route's own members are only listed in it."""
    session.execute(sa.delete(Node).where(Node.id == node_id))
