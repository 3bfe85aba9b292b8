"""Reads of the lines that have timetables, and of their stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.mobility.models import Member, Node, Record


def data(session: Session, line: Node) -> dict[str, Any]:
    """Read what the layer that created a line says of it."""
    statement = sa.select(Record.data).where(Record.node_id == line.id, Record.layer_id == line.layer_id)
    return session.execute(statement).scalar_one_or_none() or {}


def lines_at(session: Session, stop_id: int, limit: int) -> list[tuple[int, str, dict[str, Any]]]:
    """Read the lines that have a stop, each with what the layer that created it says of it: id, cdk_id, data. In order of id."""
    through = sa.select(Member.route_id).where(Member.node_id == stop_id)
    statement = (
        sa.select(Node.id, Node.cdk_id, Record.data)
        .join(Record, sa.and_(Record.node_id == Node.id, Record.layer_id == Node.layer_id))
        .where(Node.node_type == "ptline", Node.id.in_(through))
        .order_by(Node.id)
        .limit(limit)
    )
    return [(line_id, cdk_id, data) for line_id, cdk_id, data in session.execute(statement)]


def sizes(session: Session, line_ids: Sequence[int]) -> dict[int, int]:
    """Count the members of lines, by the lines' ids."""
    statement = sa.select(Member.route_id, sa.func.count()).where(Member.route_id.in_(line_ids)).group_by(Member.route_id)
    rows: Any = session.execute(statement).all()
    return dict(rows)


def positions(session: Session, line_ids: Sequence[int], stop_id: int) -> dict[int, list[int]]:
    """Say at which positions lines have a stop, by the lines' ids."""
    statement = sa.select(Member.route_id, Member.position).where(Member.route_id.in_(line_ids), Member.node_id == stop_id)
    found: dict[int, list[int]] = {}
    for line_id, position in session.execute(statement.order_by(Member.position)):
        found.setdefault(line_id, []).append(position)
    return found


def stops(session: Session, line_id: int, after: int = -1, limit: int | None = None) -> list[str]:
    """Read the cdk_ids of a line's members, in their order. after: those at higher positions only."""
    statement = sa.select(Node.cdk_id).join(Member, Member.node_id == Node.id).where(Member.route_id == line_id, Member.position > after)
    return list(session.scalars(statement.order_by(Member.position).limit(limit)))
