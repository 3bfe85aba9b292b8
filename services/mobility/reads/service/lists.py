"""Lists of nodes: a page of those that a query finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from services.common.database import Database
from services.mobility.reads.rules.queries import Query
from services.mobility.reads.service import presenting, ranking, resolving
from services.mobility.reads.service.ranking import Found
from services.mobility.reads.service.sieve import Sieve
from services.mobility.reads.store import nodes, searching
from services.mobility.reads.store.deadline import Deadline, limited
from services.mobility.reads.store.searching import Search

DEADLINE_S: Final = 2.5  # less than a statement may take (`store_guard`), so that the refusal says why


@dataclass(frozen=True)
class Listing:
    """results: nodes as they are shown. more: others come after them. total: of all pages, None when it is not known."""

    results: list[dict[str, Any]]
    more: bool
    total: int | None


class Lists:
    """Reads lists. Thread-safe."""

    def __init__(self, database: Database, deadline_s: float = DEADLINE_S) -> None:
        self._database = database
        self._deadline_s = deadline_s

    def read(self, kind: str, query: Query, within: str | None = None, *, geom: bool = False) -> Listing:
        """Read a page of a list. kind: of `LISTS`. within: the cdk_id of a node whose area is asked for. geom: with geometries.

        Raises Refusal 404, 422.
        """
        with self._database.read() as session, limited(session, self._deadline_s) as deadline:
            resolved = resolving.resolve(session, kind, query, within)
            found = Found([], more=False, total=0)
            if resolved.search is not None:
                searching.narrow(session, resolved.search)
                found = find(session, query, resolved.search, resolved.sieve, deadline)
            shown = nodes.by_ids(session, found.ids, geom=geom)
            results = presenting.present(session, shown, resolved.wanted, geom, found.distances)
        return Listing(results, found.more, found.total)


def find(session: Session, query: Query, search: Search, sieve: Sieve, deadline: Deadline) -> Found:
    """Find a page of what a search that was narrowed finds. Raises Refusal 422."""
    limit, offset = query.page.size, query.page.offset
    if sieve.place is not None or sieve.sought:
        found = ranking.best(session, search, sieve, limit, offset, deadline)
    elif sieve.area is not None:
        found = ranking.first(session, search, sieve, limit, offset, deadline)
    else:
        return _by_index(session, query, search)
    if found.total is None and query.count:
        chosen = sieve.area is not None or (sieve.place is not None and sieve.place.radius is not None)
        found.total = ranking.count(session, search, sieve, deadline) if chosen else searching.count(session, search)
    return found


def _by_index(session: Session, query: Query, search: Search) -> Found:
    limit, offset = query.page.size, query.page.offset
    ids = searching.page(session, search, limit + 1, offset)
    more, ids = len(ids) > limit, ids[:limit]
    return Found(ids, more, _total(session, query, search, len(ids), more=more))


def _total(session: Session, query: Query, search: Search, found: int, *, more: bool) -> int | None:
    offset = query.page.offset
    if not more and (found or not offset):
        return offset + found
    if query.count:
        return searching.count(session, search)
    if more:
        return None
    return offset if searching.page(session, search, 1, offset - 1) else None  # an empty page right after the last one
