"""Lists whose order or choice no index gives: the nearest first, the likest names first, what is inside an area."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from services.mobility import refusals
from services.mobility.geometry.boxes import around
from services.mobility.reads.service.nearest import Nearest
from services.mobility.reads.service.sieve import Sieve, best_of
from services.mobility.reads.store import searching
from services.mobility.reads.store.deadline import Deadline
from services.mobility.reads.store.searching import Rows, Search

DEEPEST: Final = 50_000  # results in order that are kept while the best are sought


@dataclass
class Found:
    """ids: of one page, in order. more: others come after them. total: of all pages, None when it is not known."""

    ids: list[int]
    more: bool
    total: int | None
    distances: dict[int, float] | None = None


def first(session: Session, search: Search, sieve: Sieve, limit: int, offset: int, deadline: Deadline) -> Found:
    """Find a page in order of the ids among what the sieve lets pass: no further than the page."""
    found: list[int] = []
    passed = 0
    with contextlib.closing(searching.all_rows(session, search, in_order=True)) as chunks:
        for rows in chunks:
            deadline.check()
            hits = [hit[1] for hit in sieve.sift(rows)]
            start = max(0, offset - passed)
            passed += len(hits)
            found.extend(hits[start:])
            if len(found) > limit:
                return Found(found[:limit], more=True, total=None)
    return Found(found, more=False, total=passed)


def count(session: Session, search: Search, sieve: Sieve, deadline: Deadline) -> int:
    """Count what the sieve lets pass."""
    total = 0
    with contextlib.closing(_all(session, search, sieve)) as chunks:
        for rows in chunks:
            deadline.check()
            total += len(sieve.sift(rows))
    return total


def best(session: Session, search: Search, sieve: Sieve, limit: int, offset: int, deadline: Deadline) -> Found:
    """Find a page in order of likeness or distance. Raises Refusal 422 when it is too deep."""
    need = offset + limit + 1
    if need > DEEPEST:
        raise refusals.page_too_deep(DEEPEST)
    total: int | None
    if sieve.place is not None and not sieve.sought and (search.few is None or len(search.few) > need):
        hits, total = Nearest(session, search, sieve, sieve.place, need, deadline).find()
    else:
        hits, total = best_of(_all(session, search, sieve), sieve, need, deadline)
    page = hits[offset : offset + limit]
    distances = {hit[1]: hit[2] for hit in page if hit[2] is not None}
    return Found([hit[1] for hit in page], more=len(hits) > offset + limit, total=total, distances=distances if sieve.place else None)


def _all(session: Session, search: Search, sieve: Sieve) -> Rows:
    place = sieve.place
    boxes = around(place.lon, place.lat, place.radius) if place is not None and place.radius is not None else ()
    return searching.all_rows(session, search, boxes=boxes)
