"""Layers in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.upsert import insert
from services.mobility.geometry.boxes import Box
from services.mobility.layers.rules import Wanted, surviving
from services.mobility.models import Layer, Member, Node, Record


def find(session: Session, name: str) -> Layer | None:
    """Read a layer by its name."""
    return session.execute(sa.select(Layer).where(Layer.name == name)).scalar_one_or_none()


def names(session: Session, ids: Sequence[int]) -> Mapping[int, str]:
    """Return the names of layers by id."""
    rows: Any = session.execute(sa.select(Layer.id, Layer.name).where(Layer.id.in_(ids)))
    return dict(rows.all())  # of the result itself dict() takes the columns for keys


def matching(session: Session, name: str) -> list[int]:
    """Return the ids of the layers that a name stands for: one or none, or with `.*` at its end all below it."""
    own = Layer.name == name
    if name.endswith(".*"):
        start = name[:-1]
        own = sa.func.substr(Layer.name, 1, len(start)) == start  # LIKE is blind to capitals on SQLite alone
    return list(session.scalars(sa.select(Layer.id).where(own).order_by(Layer.id)))


def grow(session: Session, layer: Layer, box: Box) -> None:
    """Let the layer's box hold this one, too. The row is written, and so locked, only when it does not yet."""
    if _holds(layer, box):
        return
    session.execute(
        sa.update(Layer)
        .where(Layer.id == layer.id)
        .values(
            min_lon=_least(Layer.min_lon, box.west),
            min_lat=_least(Layer.min_lat, box.south),
            max_lon=_greatest(Layer.max_lon, box.east),
            max_lat=_greatest(Layer.max_lat, box.north),
        )
    )


def _holds(layer: Layer, box: Box) -> bool:
    west, south, east, north = layer.min_lon, layer.min_lat, layer.max_lon, layer.max_lat
    if west is None or south is None or east is None or north is None:
        return False
    return west <= box.west and south <= box.south and east >= box.east and north >= box.north


def _least(column: Any, value: float) -> sa.ColumnElement[float]:
    return sa.case((column < value, column), else_=value)


def _greatest(column: Any, value: float) -> sa.ColumnElement[float]:
    return sa.case((column > value, column), else_=value)


def hold(session: Session, name: str) -> Layer | None:
    """Read a layer that is not deleted before the transaction ends."""
    return session.execute(sa.select(Layer).where(Layer.name == name).with_for_update(read=True, key_share=True)).scalar_one_or_none()


def add(session: Session, values: Mapping[str, Any]) -> bool:
    """Create a layer. values: by column. Returns False when its name is taken."""
    statement = insert(session.get_bind().dialect.name, Layer).values(**values).on_conflict_do_nothing(index_elements=["name"])
    return session.execute(statement.returning(Layer.id)).one_or_none() is not None


def change(session: Session, layer_id: int, values: Mapping[str, Any]) -> None:
    """Write columns of a layer."""
    if values:
        session.execute(sa.update(Layer).where(Layer.id == layer_id).values(**values))


def find_page(session: Session, wanted: Wanted, offset: int, limit: int) -> list[Layer]:
    """Read some of the layers that are wanted, in the order of creation."""
    statement = sa.select(Layer).where(*_conditions(wanted)).order_by(Layer.id).offset(offset).limit(limit)
    return list(session.scalars(statement))


def count(session: Session, wanted: Wanted) -> int:
    """Count the layers that are wanted."""
    return session.scalar(sa.select(sa.func.count()).select_from(Layer).where(*_conditions(wanted))) or 0


def boxes(session: Session, wanted: Wanted) -> list[tuple[int, Box]]:
    """Read the ids and boxes of all layers that are wanted and have one, in the order of creation."""
    columns = (Layer.id, Layer.min_lon, Layer.min_lat, Layer.max_lon, Layer.max_lat)
    rows: Any = session.execute(sa.select(*columns).where(*_conditions(wanted), Layer.min_lon.is_not(None)).order_by(Layer.id))
    return [(layer_id, Box(*sides)) for layer_id, *sides in rows]


def read_all(session: Session, ids: Sequence[int]) -> list[Layer]:
    """Read layers by their ids, in the order of creation."""
    return list(session.scalars(sa.select(Layer).where(Layer.id.in_(ids)).order_by(Layer.id)))


def find_place(session: Session, cdk_id: str) -> bytes | None:
    """Read the geometry of a node (WKB); None when there is no such node."""
    return session.scalar(sa.select(Node.geom).where(Node.cdk_id == cdk_id))


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.below is not None:
        found.append(sa.func.lower(Layer.name).startswith(wanted.below.lower(), autoescape=True))
    elif wanted.name is not None:
        found.append(Layer.name.icontains(wanted.name, autoescape=True))
    if wanted.category is not None:
        found.append(Layer.category.icontains(wanted.category, autoescape=True))
    if wanted.meets is not None:
        box = wanted.meets
        found += [Layer.min_lon <= box.east, Layer.max_lon >= box.west, Layer.min_lat <= box.north, Layer.max_lat >= box.south]
    return found


def close(session: Session, layer_id: int) -> None:
    """Lock a layer's row, which all who write to the layer hold: none of them is under way, and none begins."""
    session.execute(sa.select(Layer.id).where(Layer.id == layer_id).with_for_update())


def last_node(session: Session) -> int:
    """Return the id of the node that was created last; 0 without nodes."""
    return session.scalar(sa.select(sa.func.max(Node.id))) or 0


def delete_records(session: Session, layer_id: int, after: int, last: int, piece: int) -> int | None:
    """Delete some of a layer's records, in the order of their nodes. Returns the id to go on after, None when none are left.

    after, last: ids of nodes, between which they lie.
    """
    mine = (Record.layer_id == layer_id, Record.node_id > after, Record.node_id <= last)
    ids = list(session.scalars(sa.select(Record.node_id).where(*mine).order_by(Record.node_id).limit(piece)))
    if ids:
        session.execute(sa.delete(Record).where(*mine, Record.node_id <= ids[-1]))
    return ids[-1] if len(ids) == piece else None


def delete_nodes(session: Session, layer_id: int, before: int, piece: int) -> int | None:
    """Delete some of the nodes that a layer created, the latest first: routes go before what they go through.

    Those that others need stay, without a layer. Returns the id to go on before, None when none are left. before: an id, not included.
    """
    close(session, layer_id)
    mine = [Node.layer_id == layer_id, Node.id < before]
    ids = list(session.scalars(sa.select(Node.id).where(*mine).order_by(Node.id.desc()).limit(piece)))
    if not ids:
        return None
    mine.append(Node.id >= ids[-1])
    locked = list(session.scalars(sa.select(Node.id).where(*mine).order_by(Node.id).with_for_update()))  # no other layer's record comes
    those = sa.select(Node.id).where(*mine)
    session.execute(sa.delete(Record).where(Record.layer_id == layer_id, Record.node_id.in_(those)))
    others = session.scalars(sa.select(Record.node_id).distinct().where(Record.node_id.in_(those)))
    routes: Any = session.execute(sa.select(Member.node_id, Member.route_id).distinct().where(Member.node_id.in_(those)))
    kept = surviving(locked, set(others), routes)
    if kept:
        session.execute(sa.update(Node).where(Node.id.in_(kept)).values(layer_id=None))
    session.execute(sa.delete(Member).where(Member.route_id.in_(those)))  # PostgreSQL's cascade comes after its check of the members
    session.execute(sa.delete(Node).where(*mine))
    return ids[-1] if len(ids) == piece else None


def is_empty(session: Session, layer_id: int) -> bool:
    """Say whether nothing of a layer is left; nothing comes until the transaction ends."""
    close(session, layer_id)
    found = (sa.exists().where(Record.layer_id == layer_id), sa.exists().where(Node.layer_id == layer_id))
    return not session.scalar(sa.select(sa.or_(*found)))


def delete(session: Session, layer_id: int) -> None:
    """Delete a layer that is empty."""
    session.execute(sa.delete(Layer).where(Layer.id == layer_id))
