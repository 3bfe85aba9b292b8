"""How each store finds the nodes whose boxes meet a box. What is found so is refined by shapely (`geometry/`), the same on every store.

SQLite: the R*Tree `nodes_boxes`. PostgreSQL: a GiST index of boxes over the same columns; with PostGIS, and the index that
`spatial_index.py` makes, PostGIS's `&&`, whose planner knows how many nodes a box holds, where PostgreSQL's own takes 0.5 % for all.

`ST_Intersects` is not used: of 1,000,000 nodes, those in a region of 2,000 corners took it 850 ms, the box and then shapely 300 ms.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.mobility.geometry.boxes import Box
from services.mobility.models import Node

LOOKED_UP_S: Final = 60.0  # an index of PostGIS that is made or dropped counts after this time

# The R*Tree keeps 32-bit numbers, rounded outwards: it finds too much rather than too little.
_BOXES = sa.table("nodes_boxes", *(sa.column(name, sa.Double) for name in ("id", "min_lon", "max_lon", "min_lat", "max_lat")))
_POSTGIS = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_nodes_geom')")
_WALKING: Final = "walking"  # of a session: the transaction that was told to
_known: WeakKeyDictionary[sa.Engine, tuple[float, bool]] = WeakKeyDictionary()


def overlapping(session: Session, boxes: Sequence[Box]) -> sa.ColumnElement[bool]:
    """Return the condition that a node's box meets one of these. It leads to the nodes by the index."""
    if not boxes:
        return sa.false()
    if not _on_postgresql(session):
        return Node.id.in_(_in_rtree(boxes))
    if has_postgis(session):
        return sa.or_(*(_geometry().op("&&", is_comparison=True)(sa.func.ST_MakeEnvelope(*_sides(box), 4326)) for box in boxes))
    return sa.or_(*(_box_of_node().op("&&", is_comparison=True)(_box(box)) for box in boxes))


def some(session: Session, boxes: Sequence[Box], most: int) -> set[int]:
    """Read the ids of nodes whose boxes meet one of these, no more than so many. Its time depends on `most`, not on what there is.

    That is 1 ms on SQLite for 5,000, and 5 ms on PostgreSQL, where all of 1,000,000 took 55 ms until there was a limit.
    """
    found: set[int] = set()
    on_postgresql = _on_postgresql(session)
    if on_postgresql:
        _without_bitmaps(session)
    for box in boxes:  # one at a time: neither store goes by its index for one box or another
        one = sa.select(Node.id).where(overlapping(session, [box])) if on_postgresql else _in_rtree([box])
        found.update(session.scalars(one.limit(most)))
        if len(found) >= most:
            break
    return set(itertools.islice(found, most))


def _without_bitmaps(session: Session) -> None:
    """Let the transaction walk indexes: a bitmap is made of all that an index finds, and only then cut. It is told once."""
    transaction = session.get_transaction()
    if session.info.get(_WALKING) is not transaction:
        session.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
        session.info[_WALKING] = transaction


def has_postgis(session: Session) -> bool:
    """Say whether the database has the index of PostGIS. Asks it once a minute, not for every request."""
    engine = session.get_bind().engine
    asked, found = _known.get(engine, (None, False))
    if asked is None or time.monotonic() - asked > LOOKED_UP_S:
        found = bool(session.scalar(_POSTGIS))
        _known[engine] = (time.monotonic(), found)
    return found


def _on_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _in_rtree(boxes: Sequence[Box]) -> sa.Select[int] | sa.CompoundSelect[int]:
    """By a select for each box: of boxes joined by OR, SQLite reads the whole tree."""
    kept = _BOXES.c
    each = [
        sa.select(kept.id).where(kept.max_lon >= box.west, kept.min_lon <= box.east, kept.max_lat >= box.south, kept.min_lat <= box.north)
        for box in boxes
    ]
    return each[0] if len(each) == 1 else sa.union_all(*each)


def _box_of_node() -> sa.ColumnElement[object]:
    return sa.func.box(sa.func.point(Node.min_lon, Node.min_lat), sa.func.point(Node.max_lon, Node.max_lat))


def _box(box: Box) -> sa.ColumnElement[object]:
    return sa.func.box(sa.func.point(box.west, box.south), sa.func.point(box.east, box.north))


def _geometry() -> sa.ColumnElement[object]:
    """What the index of `spatial_index.py` holds, word for word: else it is not used."""
    return sa.func.ST_GeomFromWKB(Node.geom, sa.literal_column("4326"))


def _sides(box: Box) -> list[sa.BindParameter[float]]:
    """The sides as literals: a plan for any box would take 100 nodes for all."""
    return [sa.bindparam(None, side, sa.Double, literal_execute=True) for side in (box.west, box.south, box.east, box.north)]
