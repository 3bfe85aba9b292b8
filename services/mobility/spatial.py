"""How each store finds the nodes whose boxes meet a box. What is found so is refined by shapely (`geometry/`), the same on every store.

SQLite: the R*Tree `nodes_boxes`. PostgreSQL: a GiST index of boxes over the same columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.mobility.geometry.boxes import Box
from services.mobility.models import Node

# The R*Tree keeps 32-bit numbers, rounded outwards: it finds too much rather than too little.
_BOXES = sa.table("nodes_boxes", *(sa.column(name, sa.Double) for name in ("id", "min_lon", "max_lon", "min_lat", "max_lat")))


def overlapping(session: Session, boxes: Sequence[Box]) -> sa.ColumnElement[bool]:
    """Return the condition that a node's box meets one of these."""
    if session.get_bind().dialect.name == "postgresql":
        return sa.or_(*(_box_of_node().op("&&")(_box(box)) for box in boxes))
    found = sa.select(_BOXES.c.id).where(
        sa.or_(
            *(
                sa.and_(
                    _BOXES.c.max_lon >= box.west, _BOXES.c.min_lon <= box.east, _BOXES.c.max_lat >= box.south, _BOXES.c.min_lat <= box.north
                )
                for box in boxes
            )
        )
    )
    return Node.id.in_(found)


def _box_of_node() -> sa.ColumnElement[object]:
    return sa.func.box(sa.func.point(Node.min_lon, Node.min_lat), sa.func.point(Node.max_lon, Node.max_lat))


def _box(box: Box) -> sa.ColumnElement[object]:
    return sa.func.box(sa.func.point(box.west, box.south), sa.func.point(box.east, box.north))
