"""What belongs to a node: routes through it, members of a route, regions around it, timetables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.mobility import refusals
from services.mobility.models import Node
from services.mobility.reads.rules import select as rules
from services.mobility.reads.rules.queries import Query, Terms
from services.mobility.reads.service import lists, presenting, resolving, schedules
from services.mobility.reads.service.lists import Listing
from services.mobility.reads.service.presenting import Wanted
from services.mobility.reads.service.ranking import Found
from services.mobility.reads.service.resolving import Resolved
from services.mobility.reads.store import conditions, nodes, searching
from services.mobility.reads.store import select as store
from services.mobility.reads.store.deadline import Deadline, limited

_ROUTES: Final[Mapping[str, Callable[[int], sa.Select[int]]]] = {
    "routes_start": conditions.starting_in,
    "routes_end": conditions.ending_in,
    "ptlines": lambda node_id: conditions.going_through([node_id]),
}
_AT_ONCE: Final = 100  # regions whose geometries are in memory
_BASE: Final = ("osm", "gtfs", "admr")  # whose data regions show


class Select:
    """Selections. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def timetable(self, cdk_id: str, command: str, day: str | None) -> dict[str, Any]:
        """Answer `schedule` or `now`. day: from today, of a line's schedule. Raises Refusal 404, 422."""
        with self._database.read() as session, limited(session, lists.DEADLINE_S):
            node = _find(session, cdk_id, command)
            now = self._clock.now()
            if command == "now":
                return schedules.of_now(session, node, now)
            if node.node_type == "ptline":
                return schedules.of_line(session, node, now, rules.day(day))
            return schedules.of_stop(session, node, now)

    def list(self, cdk_id: str, command: str, query: Query, *, geom: bool = False) -> Listing:
        """Answer a command that lists nodes. query: which of them, and the page. geom: with geometries. Raises Refusal 404, 422."""
        with self._database.read() as session, limited(session, lists.DEADLINE_S) as deadline:
            node = _find(session, cdk_id, command)
            resolved = resolving.resolve(session, "ptlines" if command == "ptlines" else "nodes", query, None)
            found = Found([], more=False, total=0)
            if resolved.search is not None:
                found = _of(session, node, command, query, resolved, deadline)
            shown = nodes.by_ids(session, found.ids, geom=geom)
            wanted = resolved.wanted if resolved.wanted is not None else _usual(session, command)
            return Listing(presenting.present(session, shown, wanted, geom, found.distances), found.more, found.total)


def _find(session: Session, cdk_id: str, command: str) -> Node:
    node = nodes.find(session, cdk_id)
    if node is None:
        raise refusals.no_such_node(cdk_id)
    rules.check(node.node_type, command)
    return node


def _of(session: Session, node: Node, command: str, query: Query, resolved: Resolved, deadline: Deadline) -> Found:
    search, sieve = resolved.search, resolved.sieve
    assert search is not None
    if command == "routes":
        search.sources.append(store.sharing(node.id) if node.node_type in rules.ROUTES else conditions.going_through([node.id]))
    elif command in _ROUTES:
        search.sources.append(_ROUTES[command](node.id))
    else:
        ids = _ordered(session, node, command, deadline)
        if sieve.place is None and not sieve.sought:
            return _page(session, query, search, ids)
        search.few = sorted(set(ids))
    searching.narrow(session, search)
    return lists.find(session, query, search, sieve, deadline)


def _ordered(session: Session, node: Node, command: str, deadline: Deadline) -> list[int]:
    """Return the ids of a command whose list has an order of its own."""
    if command == "regions":
        return _regions(session, node, deadline)
    return store.ends(session, node.id) if command == "start_end" else store.members(session, node.id)


def _page(session: Session, query: Query, search: searching.Search, ids: list[int]) -> Found:
    """Cut a page of those ids that the query finds."""
    if search.nodes or search.layers or search.filters or search.sources:
        search.few = sorted(set(ids))
        searching.narrow(session, search)
        passed = set(searching.page(session, search, len(search.few), 0))
        ids = [one for one in ids if one in passed]
    start, end = query.page.offset, query.page.offset + query.page.size
    return Found(ids[start:end], more=len(ids) > end, total=len(ids))


def _usual(session: Session, command: str) -> Wanted:
    """Return the layers whose data is shown when none is asked for, as in the original."""
    if command == "regions":
        return resolving.layer_ids(session, Terms(_BASE))
    return presenting.EVERY if command in ("ptlines", "ptstops") else None


def _regions(session: Session, node: Node, deadline: Deadline) -> list[int]:
    """Find the regions that meet a node, the smallest first, as their administrative levels say."""
    import shapely  # slow to load; a process that answers no such request goes without

    ids = store.regions_near(session, node)
    shape = shapely.from_wkb(node.geom)
    shapely.prepare(shape)
    found = []
    for start in range(0, len(ids), _AT_ONCE):
        deadline.check()
        for region_id, geom, data in store.regions(session, ids[start : start + _AT_ONCE]):
            if _meet(shape, shapely.from_wkb(geom)):
                found.append((-rules.level(data), region_id))
    return [region_id for _, region_id in sorted(found)]


def _meet(one: Any, other: Any) -> bool:
    import shapely

    try:
        return bool(shapely.intersects(one, other))
    except shapely.errors.GEOSException:  # the sides of one cross each other
        return bool(shapely.intersects(shapely.make_valid(one), shapely.make_valid(other)))
