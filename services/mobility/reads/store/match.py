"""Reads of the nodes that a client's own objects may be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.mobility import spatial
from services.mobility.geometry.boxes import Box
from services.mobility.models import Layer, Node, Record
from services.mobility.reads.store import conditions

Filters = Mapping[int, Mapping[str, Sequence[Any]]]  # values by key, by the layers' ids
SEARCHED_MOST: Final = 20_000  # nodes that one search looks at: 0.1 s
_AT_ONCE: Final = 1000  # values of one statement


class Near(NamedTuple):
    """A node in a box."""

    cdk_id: str
    name: str | None
    geom: bytes


def existing(session: Session, cdk_ids: Sequence[str]) -> set[str]:
    """Say which of these nodes there are."""
    found: set[str] = set()
    for start in range(0, len(cdk_ids), _AT_ONCE):
        found.update(session.scalars(sa.select(Node.cdk_id).where(Node.cdk_id.in_(cdk_ids[start : start + _AT_ONCE]))))
    return found


def layer_ids(session: Session, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of layers by name; one that does not exist is left out."""
    rows: Any = session.execute(sa.select(Layer.name, Layer.id).where(Layer.name.in_(names))).all()
    return dict(rows)


def near(session: Session, boxes: Sequence[Box], filters: Filters, limit: int) -> list[Near] | None:
    """Read the named nodes whose boxes meet one of these and of which a layer says any of this. None: too many are near.

    filters: values by key, by the layers' ids; a key without values must be there. Values are compared as texts: numbers as JSON. limit: of
    nodes that are found; all in all `SEARCHED_MOST` are looked at.
    """
    ids = spatial.some(session, boxes, SEARCHED_MOST + 1)
    if len(ids) > SEARCHED_MOST:
        return None
    postgres = session.get_bind().dialect.name == "postgresql"
    said = _said_on_postgresql(filters) if postgres else _said_on_sqlite(filters)
    statement = (
        sa.select(Node.cdk_id, Node.name, Node.geom)
        .where(conditions.among(postgres, Node.id, list(ids)), Node.name.is_not(None), sa.exists().where(Record.node_id == Node.id, said))
        .limit(limit + 1)
    )
    found = [Near(*row) for row in session.execute(statement)]
    return None if len(found) > limit else found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _said_on_postgresql(filters: Filters) -> sa.ColumnElement[bool]:
    def has(key: str, values: Sequence[Any]) -> sa.ColumnElement[bool]:
        there: sa.ColumnElement[bool] = Record.data.op("->")(key).is_not(None)
        texts = [_text(value) for value in values]
        if not texts:
            return there
        said: sa.ColumnElement[bool] = Record.data.op("->>")(key).in_(texts)
        return sa.or_(said, sa.and_(there, Record.data.op("->>")(key).is_(None))) if "null" in texts else said

    return sa.or_(*(sa.and_(Record.layer_id == layer_id, has(*one)) for layer_id, keys in filters.items() for one in keys.items()))


def _said_on_sqlite(filters: Filters) -> sa.ColumnElement[bool]:
    """By lists of rows, not a condition for each: SQLite limits how deep conditions are. Its paths do not name all keys."""
    every = [(layer_id, key, values) for layer_id, keys in filters.items() for key, values in keys.items()]
    texts = [(layer_id, key, _text(value)) for layer_id, key, values in every for value in values]
    bare = [(layer_id, key) for layer_id, key, values in every if not values]
    entry = sa.func.json_each(Record.data).table_valued("key", "type", "atom", "fullkey", name="entry")
    text = sa.case((entry.c.type == "text", entry.c.atom), else_=Record.data.op("->")(entry.c.fullkey))  # others as they are kept
    found = sa.tuple_(Record.layer_id, entry.c.key, text).in_(texts) | sa.tuple_(Record.layer_id, entry.c.key).in_(bare)
    return sa.and_(Record.layer_id.in_(list(filters)), sa.exists().select_from(entry).where(found).correlate(Record))
