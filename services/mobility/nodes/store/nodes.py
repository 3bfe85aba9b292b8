"""Nodes in the database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.mobility.models import Node


def find_id(session: Session, cdk_id: str) -> int | None:
    """Return a node's internal id, None when there is no such node."""
    return session.execute(sa.select(Node.id).where(Node.cdk_id == cdk_id)).scalar_one_or_none()
