"""Layers: create, describe, list, delete."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import shapely
from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.common.refusal import Refusal
from services.mobility import access, moments, refusals
from services.mobility.access import Caller
from services.mobility.geometry.boxes import Box
from services.mobility.layers import rules, store
from services.mobility.layers.writing import Writing
from services.mobility.models import Layer
from services.mobility.paging import Page
from services.mobility.sessions.service import Sessions

PIECE: Final = 1_000  # nodes or records deleted in one transaction, which other writers wait for
BUDGET_S: Final = 45.0  # of one request that deletes; the gateway waits for 75 s


class Layers:
    """All layers. Thread-safe."""

    def __init__(self, database: Database, sessions: Sessions, writing: Writing, clock: Clock, admin_email: str) -> None:
        """admin_email: shown as the owner of the permanent layers."""
        self._database = database
        self._sessions = sessions
        self._writing = writing
        self._clock = clock
        self._admin_email = admin_email
        self.piece = PIECE
        self.budget_s = BUDGET_S

    def create(self, caller: Caller, body: Callable[[], dict[str, Any]]) -> None:
        """Create a layer that belongs to the caller. body: reads the request. Raises Refusal 403, 413, 422."""
        given = _data(body())
        name = given.get("name")
        domain = rules.domain_of(name).strip() if isinstance(name, str) else ""
        if domain and not access.may_create(caller, domain):
            raise refusals.not_authorized_for_domain(domain)
        try:
            new = rules.read(given)

            def work(session: Session) -> None:
                values = {**dataclasses.asdict(new), "owner_id": caller.id, "owner": caller.email, "status": ""}
                if not store.add(session, values):
                    raise refusals.invalid_fields({"name": [rules.TAKEN]})
                self._sessions.renew(session, caller)

            self._database.run(work)
        except Refusal:
            self._writing.renew(caller)
            raise

    def change(self, name: str, who: Callable[[], Caller], body: Callable[[], dict[str, Any]]) -> None:
        """Change fields of a layer; those that are not given stay. body: as `create`. Raises Refusal 401, 403, 404, 413, 422."""
        sent: list[dict[str, Any]] = []

        def work(session: Session, layer: Layer) -> None:
            (given,) = sent
            if given.get("name", name) != name:
                raise refusals.invalid_fields({"name": ["cannot be changed"]})
            new = dataclasses.asdict(rules.read({**_fields(layer), **given}))
            columns = {column for field in given for column in rules.columns(field)}
            store.change(session, layer.id, {column: value for column, value in new.items() if column in columns})

        self._writing.run(name, who, work, before=lambda: sent.append(_data(body())))

    def write_status(self, name: str, who: Callable[[], Caller], body: Callable[[], dict[str, Any]]) -> None:
        """Let a layer show a text. body: as `create`. Raises Refusal 401, 403, 404, 413, 422."""
        sent: list[str] = []

        def work(session: Session, layer: Layer) -> None:
            store.change(session, layer.id, {"status": sent[0]})

        self._writing.run(name, who, work, before=lambda: sent.append(rules.read_status(body().get("data"))))

    def delete(self, name: str, who: Callable[[], Caller], *, layer_too: bool) -> None:
        """Delete a layer's records, and its nodes unless others need them; then the layer itself, if that is asked.

        It goes in pieces, so that other writers wait for none of it for long and a large layer needs no long transaction. Readers see the
        data go; meanwhile the status says `being cleared`. What was interrupted is finished by the next call. Without `layer_too`, nodes
        that others create in the layer meanwhile stay. who: as `Writing.run` has it, here asked twice. Raises Refusal 401, 403, 404, 422,
        and 503 when there is too much for one call.
        """
        until = self._clock.monotonic() + self.budget_s

        def begin(session: Session, layer: Layer) -> tuple[int, int]:
            if layer.name in rules.PERMANENT:
                raise refusals.permanent_layer()
            store.close(session, layer.id)  # who has seen the old box, and so will not widen it, is done before it goes
            store.change(session, layer.id, {"status": rules.CLEARING, **dict.fromkeys(rules.SIDES)})
            return layer.id, store.last_node(session)

        layer_id, last = self._writing.run(name, who, begin)
        try:
            self._clear(layer_id, last, until)
            while layer_too and not self._remove(layer_id):  # somebody wrote meanwhile
                self._check_time(until)
                self._clear(layer_id, self._database.run(store.last_node), until)
        finally:
            self._writing.renew(who())
        if not layer_too:
            self._database.run(lambda session: store.change(session, layer_id, {"status": rules.CLEARED}))

    def _clear(self, layer_id: int, last: int, until: float) -> None:
        after: int | None = 0
        while after is not None:
            after = self._piece(until, partial(store.delete_records, layer_id=layer_id, after=after, last=last, piece=self.piece))
        before: int | None = last + 1
        while before is not None:
            before = self._piece(until, partial(store.delete_nodes, layer_id=layer_id, before=before, piece=self.piece))

    def _piece(self, until: float, work: Callable[[Session], int | None]) -> int | None:
        left = self._database.run(work)
        if left is not None:
            self._check_time(until)
        return left

    def _check_time(self, until: float) -> None:
        if self._clock.monotonic() > until:
            raise refusals.not_finished()

    def _remove(self, layer_id: int) -> bool:
        def work(session: Session) -> bool:
            if not store.is_empty(session, layer_id):
                return False
            store.delete(session, layer_id)
            return True

        return self._database.run(work)

    def one(self, name: str, *, geom: bool) -> dict[str, Any]:
        """Describe a layer. geom: with its box. Raises Refusal 404."""
        with self._database.read() as session:
            layer = store.find(session, name)
        if layer is None:
            raise refusals.unknown_layer(name)
        return self._shown(layer, geom=geom)

    def page(self, page: Page, wanted: rules.Wanted, where: str | None, *, geom: bool) -> tuple[list[dict[str, Any]], int]:
        """Describe a page of layers; return it with the number of all. where: a node that meets their boxes. Raises Refusal 404."""
        with self._database.read() as session:
            if where is None:
                total = store.count(session, wanted)
                found = store.find_page(session, wanted, page.offset, page.size)
            else:
                ids = _meeting(session, wanted, where)
                total, found = len(ids), store.read_all(session, ids[page.offset : page.offset + page.size])
        return [self._shown(layer, geom=geom) for layer in found], total

    def _shown(self, layer: Layer, *, geom: bool) -> dict[str, Any]:
        """Return a layer as JSON: the original's fields in its order, and `status`."""
        shown: dict[str, Any] = {
            "name": layer.name,
            "category": layer.category,
            "organization": layer.organization,
            "owner": layer.owner if layer.owner_id else self._admin_email,
            "description": layer.description,
            "data_sources": [rules.shown_source(source) for source in layer.data_sources],
            "imported_at": moments.show(layer.imported_at),
        }
        if layer.realtime:
            shown["update_rate"] = layer.update_rate
        elif layer.valid_from is not None:
            shown["validity"] = [moments.show(layer.valid_from), moments.show(layer.valid_to)]
        shown["status"] = layer.status
        box = _box(layer)
        if geom and box is not None:
            shown["bbox"] = rules.outline(box)
        return shown


def _data(body: Mapping[str, Any]) -> dict[str, Any]:
    given = body.get("data")
    if given is None or given is False:
        raise refusals.data_missing()
    if not isinstance(given, dict):
        raise refusals.invalid("'data' must be an object with the fields of a layer", "data-invalid")
    return given


def _fields(layer: Layer) -> dict[str, Any]:
    """Return the fields of a layer as they are given."""
    names = ("name", "category", "organization", "description", "data_sources", "realtime", "update_rate")
    validity = None if layer.valid_from is None else [moments.show(layer.valid_from), moments.show(layer.valid_to)]
    return {**{name: getattr(layer, name) for name in names}, "validity": validity}


def _box(layer: Layer) -> Box | None:
    west, south, east, north = layer.min_lon, layer.min_lat, layer.max_lon, layer.max_lat
    return None if west is None or south is None or east is None or north is None else Box(west, south, east, north)


def _meeting(session: Session, wanted: rules.Wanted, cdk_id: str) -> list[int]:
    """Return the ids of the wanted layers whose boxes meet a node."""
    wkb = store.find_place(session, cdk_id)
    if wkb is None:
        raise refusals.no_such_node(cdk_id)
    boxes = store.boxes(session, wanted)
    place = shapely.from_wkb(wkb)
    shapely.prepare(place)  # a region has many sides, and there may be many layers
    outlines = shapely.box(*([getattr(box, side) for _, box in boxes] for side in ("west", "south", "east", "north")))
    return [layer_id for (layer_id, _), meets in zip(boxes, shapely.intersects(place, outlines), strict=True) if meets]
