"""Search: which nodes a list finds, by the fewest rows. What no index tells is refined by the caller.

The nodes that a list may find are often few by one of its conditions (a layer with little data, a small box, the routes from a stop).
Then these are read first, and the other conditions are asked of them alone, whatever a planner may think.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from services.mobility import spatial
from services.mobility.geometry.boxes import Box
from services.mobility.models import Layer, Node, Record
from services.mobility.reads.rules.nearby import Boxes
from services.mobility.reads.rules.queries import Filter
from services.mobility.reads.store import conditions
from services.mobility.reads.store.conditions import Condition

FEW: Final = 5000  # nodes that are read at once
MOST_GATHERED: Final = 20_000
_VERY_FEW: Final = 200  # no other source is asked
_MANY: Final = 100_000  # a layer that is counted no further
_MERGED: Final = 8  # layers whose lists are merged; more are tested node by node
_BYTES: Final = 1_000_000  # of the geometries that are looked at between two looks at the clock
_CHUNKS: Final = (100, 1000)  # rows of a stream at first, and at most: a geometry may be long
_PIECE: Final = 100  # of the few that a page looks at first
_SIFTED: Final = 50  # more are looked for among a layer's records before their rows are read

Rows = Generator[Sequence[Any], None, None]


@dataclass
class Search:
    """What a list asks.

    nodes: conditions of the node's own columns. layers: of each set of layers one has data on the node. filters: with the layers' ids;
    `either`: one of them is enough. sources: selects of the ids that can be found at all, by an index. boxes: that the node's box meets.
    """

    postgres: bool
    nodes: list[Condition] = field(default_factory=list)
    layers: list[tuple[int, ...]] = field(default_factory=list)
    filters: list[tuple[int, Filter]] = field(default_factory=list)
    either: bool = False
    sources: list[sa.Select[int]] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    few: list[int] | None = None  # ids among which all are that can be found; None when they are many


def narrow(session: Session, search: Search) -> None:
    """Find out whether one of the conditions leaves few nodes."""
    if search.boxes:
        found = spatial.some(session, search.boxes, FEW + 1)
        if len(found) <= FEW:
            search.few = sorted(found)
    sets = [*search.layers, *_sets_of_filters(search)]
    for source in search.sources + [sa.select(Record.node_id).where(Record.layer_id.in_(one)) for one in sets]:
        if search.few is not None and len(search.few) <= _VERY_FEW:
            break
        some = source.limit(FEW + 1)
        size = session.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one()
        if size <= FEW and (search.few is None or size < len(search.few)):
            search.few = sorted(set(session.scalars(some)))
    for source in search.sources:
        search.nodes.append(Node.id.in_(source))


def _sets_of_filters(search: Search) -> list[tuple[int, ...]]:
    ids = dict.fromkeys(layer for layer, _ in search.filters)
    return [tuple(ids)] if search.either and ids else [(one,) for one in ids]


def gather(session: Session, search: Search) -> bool:
    """Find all nodes by a walk, and keep them as the few when they are. For what windows around a place do not find: rare things."""
    found = page(session, search, MOST_GATHERED + 1, 0)
    if len(found) > MOST_GATHERED:
        return False
    search.few = found
    return True


def page(session: Session, search: Search, limit: int, offset: int) -> list[int]:
    """Read the ids of a page, in order."""
    if search.few is not None and len(search.few) > _PIECE:
        return _page_of_few(session, search, search.few, limit, offset)
    layers = _walked(session, search)
    if len(layers) < 2:
        found, key = _statement(search, layers[0] if layers else None)
        return list(session.scalars(found.order_by(key).limit(limit).offset(offset)))
    pieces = []
    for layer in layers:
        found, key = _statement(search, layer)
        pieces.append(sa.select(found.order_by(key).limit(limit + offset).subquery()))
    merged = sa.union(*pieces).subquery()
    one = merged.columns[0]
    return list(session.scalars(sa.select(one).order_by(one).limit(limit).offset(offset)))


def _page_of_few(session: Session, search: Search, few: Sequence[int], limit: int, offset: int) -> list[int]:
    """Look at the few in their order, and at no more of them than the page needs: PostgreSQL takes 100 ms to be asked for 4000 ids."""
    found: list[int] = []
    begun, size = 0, max(_PIECE, 2 * (offset + limit))
    while begun < len(few) and len(found) < offset + limit:
        statement, key = _statement(replace(search, few=list(few[begun : begun + size])), None)
        found.extend(session.scalars(statement.order_by(key)))
        begun, size = begun + size, 4 * size
    return found[offset : offset + limit]


def count(session: Session, search: Search) -> int:
    """Count all nodes that are found."""
    layers = _walked(session, search)
    found, _ = _statement(search, layers[0] if len(layers) == 1 else None)
    total: int = session.execute(sa.select(sa.func.count()).select_from(found.subquery())).scalar_one()
    return total


def _walked(session: Session, search: Search) -> tuple[int, ...]:
    """Return the layers whose records, in order of the nodes, lead to the nodes; none: the nodes themselves are walked through."""
    if search.few is not None:
        return ()
    sets = [*search.layers, *_sets_of_filters(search)]
    sets = [one for one in sets if len(one) <= _MERGED]
    if len(sets) < 2:
        return sets[0] if sets else ()
    sizes = {one: _size(session, one) for one in sets}
    return min(sets, key=lambda one: sizes[one])


def _size(session: Session, layers: Sequence[int]) -> int:
    some = sa.select(Record.node_id).where(Record.layer_id.in_(layers)).limit(_MANY)
    found: int = session.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one()
    return found


def _statement(search: Search, layer: int | None) -> tuple[sa.Select[int], Any]:
    """Select ids; also return the column they are in. layer: whose records are walked through."""
    if layer is None:
        return sa.select(Node.id).where(*_all(search, Node.id)), Node.id
    found = sa.select(Record.node_id).where(Record.layer_id == layer, *_of_records(search, Record.node_id, layer))
    if search.nodes:
        found = found.join(Node, Node.id == Record.node_id).where(*search.nodes)
    return found, Record.node_id


def _all(search: Search, key: Any) -> list[Condition]:
    few = [] if search.few is None else [conditions.among(search.postgres, Node.id, search.few)]
    return [*few, *search.nodes, *_of_records(search, key, None)]


def _of_records(search: Search, key: Any, walked: int | None) -> list[Condition]:
    """walked: the layer whose record `Record` is."""
    found: list[Condition] = []
    for ids in search.layers:
        if walked not in ids:
            other = aliased(Record)
            found.append(sa.exists().where(other.node_id == key, other.layer_id.in_(ids)))
    tests = []
    for layer, one in search.filters:
        if layer == walked and not search.either:
            tests.append(conditions.has_value(search.postgres, Record, one, either=False))
            continue
        other = aliased(Record)
        value = conditions.has_value(search.postgres, other, one, either=search.either)
        tests.append(sa.exists().where(other.node_id == key, other.layer_id == layer, value))
    if tests:
        found.append((sa.or_ if search.either else sa.and_)(*tests))
    return found


def boxes_of_few(session: Session, search: Search, ids: Sequence[int], lon: float, lat: float) -> Boxes:
    """Read the boxes of nodes, the nearest to a place first."""
    sides = (Node.min_lon, Node.min_lat, Node.max_lon, Node.max_lat)
    return Boxes(lon, lat, session.execute(sa.select(Node.id, *sides).where(conditions.among(search.postgres, Node.id, ids))).all())


def data_box(session: Session) -> Box | None:
    """Return a box around all that layers say, and somewhat larger; what is outside, as what deleted layers left, is little."""
    sides = (sa.func.min(Layer.min_lon), sa.func.min(Layer.min_lat), sa.func.max(Layer.max_lon), sa.func.max(Layer.max_lat))
    found = session.execute(sa.select(*sides)).one()
    west, south, east, north = found
    if west is None or south is None or east is None or north is None:
        return None
    more = 0.1 * max(east - west, north - south)
    return Box(west - more, south - more, east + more, north + more)


def having(session: Session, search: Search, ids: list[int]) -> list[int]:
    """Leave out most of the nodes that have no data of the first layers asked for, before anything else of them is read."""
    sets = [*search.layers, *_sets_of_filters(search)]
    if not sets or len(ids) < _SIFTED:
        return ids
    found = sa.select(Record.node_id).where(Record.layer_id.in_(sets[0]), conditions.among(search.postgres, Record.node_id, ids))
    if search.filters and not search.either and not search.layers:
        found = found.where(conditions.has_value(search.postgres, Record, search.filters[0][1], either=False))
    return list(set(session.scalars(found)))


def all_rows(session: Session, search: Search, *, boxes: Sequence[Box] = (), in_order: bool = False) -> Rows:
    """Read what is found as rows (id, cdk_id, name, geom), some at a time. boxes: that the node's box meets, besides; found by an index."""
    found = sa.select(Node.id, Node.cdk_id, Node.name, Node.geom).where(*_all(search, Node.id))
    if boxes and search.few is None:
        found = found.where(spatial.overlapping(session, boxes))
    if in_order:
        found = found.order_by(Node.id)
    size, most = _CHUNKS
    # by the connection: of columns, too, a session reads all rows before it gives the first
    with session.connection().execute(found, execution_options={"stream_results": True, "max_row_buffer": most}) as rows:
        while some := rows.fetchmany(size):
            yield from _pieces(some)
            size = min(2 * size, most)


def _pieces(rows: Sequence[Any]) -> Rows:
    """Cut rows where their geometries are long: to compute with them takes time."""
    begin = size = 0
    for place, row in enumerate(rows):
        size += len(row.geom)
        if size > _BYTES:
            yield rows[begin : place + 1]
            begin, size = place + 1, 0
    if begin < len(rows):
        yield rows[begin:]
