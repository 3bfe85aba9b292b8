"""Reads of what belongs to a node: members of a route, routes that share one, regions around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Session

from services.mobility import spatial
from services.mobility.geometry.boxes import Box
from services.mobility.models import Layer, Member, Node, Record

REGIONS: Final = "admr"  # the layer that creates regions


def sharing(route_id: int) -> sa.Select[int]:
    """Select the other routes that have a member of this one."""
    mine = orm.aliased(Member)
    shared = sa.select(Member.route_id).join(mine, mine.node_id == Member.node_id)
    return shared.where(mine.route_id == route_id, Member.route_id != route_id)


def members(session: Session, route_id: int) -> list[int]:
    """Read the ids of a route's members, in their order; one that it has twice is there twice."""
    return list(session.scalars(sa.select(Member.node_id).where(Member.route_id == route_id).order_by(Member.position)))


def ends(session: Session, route_id: int) -> list[int]:
    """Read the ids of the first and the last member of a route."""
    found = sa.select(Member.node_id).where(Member.route_id == route_id).limit(1)
    both = (session.scalar(found.order_by(order)) for order in (Member.position, Member.position.desc()))
    return [one for one in both if one is not None]


def regions_near(session: Session, node: Node) -> Sequence[int]:
    """Return the ids of the regions whose boxes meet the node's."""
    box = Box(node.min_lon, node.min_lat, node.max_lon, node.max_lat)
    layer_id = sa.select(Layer.id).where(Layer.name == REGIONS).scalar_subquery()
    return session.scalars(sa.select(Node.id).where(spatial.overlapping(session, [box]), Node.layer_id == layer_id)).all()


def regions(session: Session, ids: Sequence[int]) -> list[tuple[int, bytes, dict[str, Any]]]:
    """Read regions: id, geometry, and what their layer says of them."""
    statement = (
        sa.select(Node.id, Node.geom, Record.data)
        .outerjoin(Record, sa.and_(Record.node_id == Node.id, Record.layer_id == Node.layer_id))
        .where(Node.id.in_(ids))
    )
    return [(node_id, geom, data or {}) for node_id, geom, data in session.execute(statement)]
