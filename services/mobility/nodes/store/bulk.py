"""Many nodes at a time, in few statements: looked up, created, with their members and records.

PostgreSQL gets columns as arrays, SQLite rows. Rows are inserted in an order that all transactions share, so that two that insert the same
ones wait for each other and not in a circle.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.mobility.models import Layer, Node
from services.mobility.nodes.rules.planning import Known
from services.mobility.nodes.store.arrays import array, columns

PORTION: Final = 2000  # rows of one statement: each must end within the time that a store may be silent
_IMPORTED: Final = dt.timedelta(seconds=60)  # how exact `imported_at` is: imports at the same time would wait for each other's row

_FIND: Final = """
    SELECT id, cdk_id, given_id, layer_id, node_type, min_lon, min_lat, max_lon, max_lat, {length}(geom) FROM nodes
    WHERE cdk_id {among} ORDER BY id {lock}
"""
_NODES: Final = "nodes (id, cdk_id, given_id, name, node_type, min_lon, min_lat, max_lon, max_lat, geom, layer_id, modalities)"
_CREATE_POSTGRESQL: Final = f"""
    INSERT INTO {_NODES}
    SELECT *, %(layer_id)s::integer, %(modalities)s::integer FROM unnest(
        %(id)s::bigint[], %(cdk_id)s::text[], %(given_id)s::text[], %(name)s::text[], %(node_type)s::text[],
        %(west)s::float8[], %(south)s::float8[], %(east)s::float8[], %(north)s::float8[], %(geom)s::bytea[]
    ) ON CONFLICT (cdk_id) DO NOTHING RETURNING id
"""  # noqa: S608  no value of a client; so are those below
_CREATE_SQLITE: Final = f"INSERT INTO {_NODES} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_MEMBERS_POSTGRESQL: Final = """
    INSERT INTO members (route_id, position, node_id)
    SELECT * FROM unnest(%(route_id)s::bigint[], %(position)s::integer[], %(node_id)s::bigint[])
"""
_MEMBERS_SQLITE: Final = "INSERT INTO members (route_id, position, node_id) VALUES (?, ?, ?)"
_RECORDS: Final = "records (node_id, data, modalities, valid_from, valid_to, layer_id)"
_REPLACE: Final = """
    ON CONFLICT (node_id, layer_id) DO UPDATE
    SET data = excluded.data, modalities = excluded.modalities, valid_from = excluded.valid_from, valid_to = excluded.valid_to
"""
_RECORDS_POSTGRESQL: Final = f"""
    INSERT INTO {_RECORDS}
    SELECT node_id, data::json, modalities, valid_from, valid_to, %(layer_id)s::integer FROM unnest(
        %(node_id)s::bigint[], %(data)s::text[], %(modalities)s::integer[], %(valid_from)s::timestamptz[], %(valid_to)s::timestamptz[]
    ) AS new (node_id, data, modalities, valid_from, valid_to) {_REPLACE}
"""  # noqa: S608
_RECORDS_SQLITE: Final = f"INSERT INTO {_RECORDS} VALUES (?, ?, ?, ?, ?, ?) {_REPLACE}"  # noqa: S608


class NewNode(NamedTuple):
    """A node to be created. geom: WKB."""

    id: int
    cdk_id: str
    given_id: str
    name: str | None
    node_type: str
    west: float
    south: float
    east: float
    north: float
    geom: bytes


class NewRecord(NamedTuple):
    """What a layer says of a node. data: JSON. modalities: bits."""

    node_id: int
    data: str
    modalities: int | None
    valid_from: dt.datetime | None
    valid_to: dt.datetime | None


def find(session: Session, cdk_ids: Collection[str], lock: bool | None) -> dict[str, Known]:
    """Look up nodes by cdk_id. lock: keep them until the transaction ends, True from being changed, False from being deleted."""
    if not cdk_ids:
        return {}
    connection = session.connection()
    if _on_postgresql(session):
        waits = "" if lock is None else "FOR NO KEY UPDATE" if lock else "FOR KEY SHARE"
        statement = _FIND.format(length="octet_length", among="= ANY(%(cdk_ids)s::text[])", lock=waits)
        rows = connection.exec_driver_sql(statement, {"cdk_ids": array(list(cdk_ids))})
    else:
        statement = _FIND.format(length="length", among="IN (SELECT value FROM json_each(?))", lock="")
        rows = connection.exec_driver_sql(statement, (json.dumps(list(cdk_ids)),))
    return {row[1]: Known(*row) for row in rows}


def geometries(session: Session, ids: Collection[int]) -> dict[int, bytes]:
    """Read the geometries of nodes, WKB by id."""
    found: dict[int, bytes] = {}
    wanted = sorted(ids)
    for begin in range(0, len(wanted), PORTION):
        rows = session.execute(sa.select(Node.id, Node.geom).where(Node.id.in_(wanted[begin : begin + PORTION])))
        found.update((node_id, geom) for node_id, geom in rows)
    return found


def new_ids(session: Session, count: int) -> Sequence[int]:
    """Return ids for new nodes, in order."""
    if _on_postgresql(session):
        statement = "SELECT nextval(pg_get_serial_sequence('nodes', 'id')) FROM generate_series(1, %(count)s)"
        return [row[0] for row in session.connection().exec_driver_sql(statement, {"count": count})]
    last = session.execute(sa.select(sa.func.max(Node.id))).scalar_one() or 0
    return range(last + 1, last + 1 + count)


def create(session: Session, layer_id: int, modalities: int | None, nodes: Iterable[NewNode]) -> set[int]:
    """Create nodes; return the ids of those that are new. The others' cdk_ids belong to nodes that were created meanwhile."""
    rows = sorted(nodes, key=lambda node: node.cdk_id)
    connection = session.connection()
    if not _on_postgresql(session):
        connection.exec_driver_sql(_CREATE_SQLITE, [(*row, layer_id, modalities) for row in rows])
        return {row.id for row in rows}
    made: set[int] = set()
    for some in _portions(NewNode._fields, rows):
        found = connection.exec_driver_sql(_CREATE_POSTGRESQL, {**some, "layer_id": layer_id, "modalities": modalities})
        made.update(row[0] for row in found)
    return made


def add_members(session: Session, routes: Mapping[int, Sequence[int]]) -> None:
    """Give new routes their members. routes: ids of members, in order, by id of the route."""
    rows = [(route_id, position, node_id) for route_id in sorted(routes) for position, node_id in enumerate(routes[route_id])]
    if not rows:
        return
    connection = session.connection()
    if not _on_postgresql(session):
        connection.exec_driver_sql(_MEMBERS_SQLITE, rows)
        return
    for some in _portions(("route_id", "position", "node_id"), rows):
        connection.exec_driver_sql(_MEMBERS_POSTGRESQL, some)


def write_records(session: Session, layer_id: int, records: Iterable[NewRecord]) -> None:
    """Write what a layer says of nodes, in the place of what it said before."""
    rows = sorted(records, key=lambda record: record.node_id)
    if not rows:
        return
    connection = session.connection()
    if not _on_postgresql(session):
        connection.exec_driver_sql(
            _RECORDS_SQLITE, [(node_id, data, bits, _text(begins), _text(ends), layer_id) for node_id, data, bits, begins, ends in rows]
        )
        return
    for some in _portions(NewRecord._fields, rows):
        connection.exec_driver_sql(_RECORDS_POSTGRESQL, {**some, "layer_id": layer_id})


def make_ptstops(session: Session, ids: Sequence[int]) -> None:
    """Let nodes of the type `node`, which are locked, be stops of public transport."""
    for begin in range(0, len(ids), PORTION):
        some = ids[begin : begin + PORTION]
        session.execute(sa.update(Node).where(Node.id.in_(some), Node.node_type == "node").values(node_type="ptstop"))


def adopt(session: Session, layer_id: int, ids: Sequence[int]) -> None:
    """Let a layer be again the one that created nodes."""
    for begin in range(0, len(ids), PORTION):
        session.execute(sa.update(Node).where(Node.id.in_(ids[begin : begin + PORTION])).values(layer_id=layer_id))


def note_import(session: Session, layer: Layer, now: dt.datetime) -> None:
    """Note that something was written to a layer, unless that was noted a moment ago."""
    if layer.imported_at is None or now - layer.imported_at >= _IMPORTED:
        session.execute(sa.update(Layer).where(Layer.id == layer.id).values(imported_at=now))


def _on_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _portions(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterable[dict[str, Any]]:
    """Cut rows into portions, each as columns by name."""
    for begin in range(0, len(rows), PORTION):
        yield columns(names, rows[begin : begin + PORTION])


def _text(moment: dt.datetime | None) -> str | None:
    """Write a moment in UTC as SQLAlchemy does on SQLite."""
    return None if moment is None else moment.replace(tzinfo=None).isoformat(" ", "microseconds")
