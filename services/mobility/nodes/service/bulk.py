"""Bulks: many nodes created or written to, in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.mobility.access import Caller
from services.mobility.geometry.geometries import Geometry
from services.mobility.layers import store as layers
from services.mobility.layers.writing import Writing
from services.mobility.models import Layer
from services.mobility.nodes.rules import bulk as rules
from services.mobility.nodes.rules import planning, routes
from services.mobility.nodes.rules.bulk import Bulk, Given
from services.mobility.nodes.rules.planning import Known
from services.mobility.nodes.store import bulk as store
from services.mobility.nodes.store.bulk import NewNode, NewRecord

Body: TypeAlias = Callable[[Callable[[dict[str, Any]], Bulk]], Bulk]

PATIENCE_S: Final = 30.0  # of a bulk: it waits for others that create the same nodes, and its own statements are long


class BulkWrites:
    """Writes of many nodes. Thread-safe."""

    def __init__(self, writing: Writing, clock: Clock) -> None:
        self._writing = writing
        self._clock = clock

    def write(self, who: Callable[[], Caller], layer_name: str, body: Body, *, dry_run: bool) -> dict[str, Any]:
        """Write the nodes of a request, all or none. body: reads the request, and hands it to what it is given.

        dry_run: only say what would become of it. Returns `{"params", "results"}`. Raises Refusal 401, 403, 404, 422.
        """
        read: list[Bulk] = []

        def work(session: Session, layer: Layer) -> dict[str, Any]:
            results = _Attempt(session, layer, read[0], dry_run=dry_run).run(self._clock.now())
            return {"params": read[0].params.echo, "results": results}

        def before() -> None:
            read.append(body(lambda given: rules.read(given, layer_name)))

        return self._writing.run(layer_name, who, work, before=before, patience_s=PATIENCE_S)


class _Attempt:
    """A bulk in one transaction. A dry run does the same, and leaves out what writes or locks."""

    def __init__(self, session: Session, layer: Layer, bulk: Bulk, *, dry_run: bool) -> None:
        self._session = session
        self._layer = layer
        self._bulk = bulk
        self._dry_run = dry_run
        self._known: dict[str, Known] = {}  # by cdk_id: all nodes that are named and exist, with those that are created here
        self._created: set[str] = set()

    def run(self, now: dt.datetime) -> dict[str, Any]:
        """Do it; return the results. Raises Refusal 404, 422."""
        nodes = self._bulk.nodes
        self._find(self._bulk.mentioned(), nodes)
        new = [node for node in nodes if node.cdk_id not in self._known]
        placeless = [node for node in new if not node.members and node.geometry is None]
        placed = [node for node in new if not node.members and node.geometry is not None]
        ordered = routes.in_order([node for node in new if node.members])
        planning.check_members(nodes, {*self._known, *(node.cdk_id for node in placed), *(node.cdk_id for node in ordered)})
        self._create(placed, ordered)
        written = [node for node in nodes if node.cdk_id in self._known]
        if written and not self._dry_run:
            self._write(written, now)
        return rules.results(self._bulk, self._created, placeless)

    def _find(self, cdk_ids: set[str], nodes: Sequence[Given]) -> None:
        """Look up nodes, and check those of the request that are meant. Raises Refusal 404, 422."""
        lock = None if self._dry_run else self._bulk.params.node_type == "ptstop"  # then they are changed
        self._known.update(store.find(self._session, cdk_ids, lock))
        planning.check(nodes, self._known, self._layer.id)

    def _create(self, placed: Sequence[Given], ordered: Sequence[Given]) -> None:
        """Create nodes that do not exist, and routes through them: each after those that it goes through."""
        if not placed and not ordered:
            return
        in_request = sorted([*placed, *ordered], key=lambda node: node.index)  # ids grow in this order
        numbers = range(len(in_request)) if self._dry_run else store.new_ids(self._session, len(in_request))
        ids = {node.cdk_id: number for node, number in zip(in_request, numbers, strict=True)}
        self._insert({node.cdk_id: (node, self._new(node, ids, node.geometry)) for node in placed if node.geometry is not None})
        if not ordered:
            return
        rows = {}
        for node, geometry in self._derived(ordered):
            rows[node.cdk_id] = (node, self._new(node, ids, geometry))
        self._insert(rows)
        if not self._dry_run:
            made = [node for node in ordered if node.cdk_id in self._created]
            store.add_members(self._session, {ids[node.cdk_id]: [self._known[one].id for one in node.members] for node in made})

    def _derived(self, ordered: Sequence[Given]) -> list[tuple[Given, Geometry]]:
        """Give each route its geometry: the one that it brings, or its members'. Raises Refusal 422."""
        sizes = {cdk_id: known.size for cdk_id, known in self._known.items()}
        limit = routes.Sizes()
        for node in ordered:
            sizes[node.cdk_id] = limit.add(node, sizes) if node.geometry is None else len(node.geometry.wkb)
        here = {node.cdk_id: node.geometry.wkb for node in self._bulk.nodes if node.geometry is not None}
        there = {
            known.cdk_id: known.id
            for node in ordered
            if node.geometry is None
            for known in (self._known.get(member) for member in node.members)
            if known is not None and known.cdk_id not in self._created
        }
        kept = store.geometries(self._session, there.values())
        shapes = {**here, **{cdk_id: kept[number] for cdk_id, number in there.items() if number in kept}}
        found = []
        for node in ordered:
            if node.geometry is None:
                planning.check_members([node], shapes)  # a dry run keeps nobody from deleting them
            geometry = node.geometry or routes.derive([shapes[member] for member in node.members])
            shapes[node.cdk_id] = geometry.wkb
            found.append((node, geometry))
        return found

    def _new(self, node: Given, ids: dict[str, int], geometry: Geometry) -> NewNode:
        kind = self._bulk.params.node_type or ("route" if node.members else "node")
        box = geometry.box
        assert node.given_id is not None
        return NewNode(
            ids[node.cdk_id], node.cdk_id, node.given_id, node.name, kind, box.west, box.south, box.east, box.north, geometry.wkb
        )

    def _insert(self, wanted: dict[str, tuple[Given, NewNode]]) -> None:
        """Insert nodes. One that another transaction has created meanwhile is one that exists: it is looked up and checked.

        Raises Refusal 422.
        """
        left = wanted
        while left:  # again only while others create the same nodes and delete them
            rows = [row for _, row in left.values()]
            if self._dry_run:
                made = {row.id for row in rows}
            else:
                made = store.create(self._session, self._layer.id, self._bulk.params.modalities, rows)
            for row in rows:
                if row.id in made:
                    self._created.add(row.cdk_id)
                    box = (row.west, row.south, row.east, row.north)
                    self._known[row.cdk_id] = Known(row.id, row.cdk_id, row.given_id, self._layer.id, row.node_type, *box, len(row.geom))
            left = {cdk_id: one for cdk_id, one in left.items() if cdk_id not in self._created}
            if left:
                self._find(set(left), [node for node, _ in left.values()])
                left = {cdk_id: one for cdk_id, one in left.items() if cdk_id not in self._known}

    def _write(self, nodes: Sequence[Given], now: dt.datetime) -> None:
        """Write the records of nodes that exist, and note on the layer that it was written to."""
        known = [self._known[node.cdk_id] for node in nodes]
        if self._bulk.params.node_type == "ptstop":
            store.make_ptstops(self._session, sorted(one.id for one in known if one.node_type == "node"))
        orphans = [one.id for one, node in zip(known, nodes, strict=True) if node.given_id is not None and one.layer_id is None]
        store.adopt(self._session, self._layer.id, sorted(orphans))
        store.write_records(
            self._session,
            self._layer.id,
            [NewRecord(one.id, node.data, node.modalities, *node.validity) for one, node in zip(known, nodes, strict=True)],
        )
        layers.grow(self._session, self._layer, planning.box_of(known))
        store.note_import(self._session, self._layer, now)
