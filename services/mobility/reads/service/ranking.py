"""Lists whose order or choice no index gives: the nearest first, the likest names first, what is inside an area."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy.orm import Session

from services.mobility import refusals, spatial
from services.mobility.geometry.boxes import EARTH_M, around
from services.mobility.geometry.distances import metres
from services.mobility.reads.rules import names
from services.mobility.reads.rules.areas import Area
from services.mobility.reads.rules.nearby import bands
from services.mobility.reads.rules.queries import Place
from services.mobility.reads.store import searching
from services.mobility.reads.store.deadline import Deadline
from services.mobility.reads.store.searching import Rows, Search

DEEPEST: Final = 50_000  # results in order that are kept while the best are sought
_FIRST_M: Final = 250.0  # radius of the first look around a place
_LAST_M: Final = math.pi * EARTH_M  # no place is farther
_LOOK: Final = 1000  # nodes that a look may read
_LOOK_ASKED: Final = 10_000  # when only some of them are found
_LOOK_MOST: Final = 20_000  # after looks that were too wide: from far away a box holds much that its circle does not
_NARROWEST_M: Final = 1.0
_MOST_GROWTH: Final = 8.0
_SLOW_GROWTH: Final = 1.1  # of the first stream, then more
_A_LITTLE_MORE: Final = 1.000_001
_SAME: Final = 1.01  # radii that are not told apart
_LOOKS: Final = 2  # without success; then what is sought may be rare

Hit = tuple[tuple[Any, ...], int, float | None]  # rank, id, distance


@dataclass
class Found:
    """ids: of one page, in order. more: others come after them. total: of all pages, None when it is not known."""

    ids: list[int]
    more: bool
    total: int | None
    distances: dict[int, float] | None = None


@dataclass
class Sieve:
    """What is asked of rows in Python. area: they are inside. sought: trigrams that their name is like. place: they are near."""

    area: Area | None = None
    sought: frozenset[str] = frozenset()
    place: Place | None = None

    def sift(self, rows: Sequence[Any]) -> list[Hit]:
        """Return those rows (id, cdk_id, name, geom) that pass, ranked: the likest first, then the nearest, then by cdk_id; else by id."""
        if self.area is not None and rows:
            rows = [row for row, held in zip(rows, self.area.holds([row.geom for row in rows]), strict=True) if held]
        likeness = {}
        if self.sought:
            likeness = {row.id: names.similarity(self.sought, names.trigrams(row.name or "")) for row in rows}
            rows = [row for row in rows if likeness[row.id] >= names.SIMILAR]
        if self.place is None:
            return [((-likeness.get(row.id, 0.0), row.id), row.id, None) for row in rows]
        distances = metres(self.place.lon, self.place.lat, [row.geom for row in rows])
        most = math.inf if self.place.radius is None else self.place.radius
        return [
            ((-likeness.get(row.id, 0.0), distance, row.cdk_id), row.id, distance)
            for row, distance in zip(rows, distances, strict=True)
            if distance <= most
        ]


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
        hits, total = _nearest(session, search, sieve, sieve.place, need, deadline)
    else:
        hits, total = _best(_all(session, search, sieve), sieve, need, deadline)
    page = hits[offset : offset + limit]
    distances = {hit[1]: hit[2] for hit in page if hit[2] is not None}
    return Found([hit[1] for hit in page], more=len(hits) > offset + limit, total=total, distances=distances if sieve.place else None)


def _all(session: Session, search: Search, sieve: Sieve) -> Rows:
    place = sieve.place
    boxes = around(place.lon, place.lat, place.radius) if place is not None and place.radius is not None else ()
    return searching.all_rows(session, search, boxes=boxes)


def _best(chunks: Rows, sieve: Sieve, need: int, deadline: Deadline) -> tuple[list[Hit], int]:
    """Return the best, in order, and how many there are in all."""
    found: list[Hit] = []
    total = 0
    with contextlib.closing(chunks):
        for rows in chunks:
            deadline.check()
            hits = sieve.sift(rows)
            total += len(hits)
            found += hits
            if len(found) > 2 * need + _LOOK:
                found = heapq.nsmallest(need, found)
    return heapq.nsmallest(need, found), total


def _nearest(session: Session, search: Search, sieve: Sieve, place: Place, need: int, deadline: Deadline) -> tuple[list[Hit], int | None]:
    """Look around the place, farther until enough are nearer than one has looked, and less far when there is too much to read.

    Returns the nearest, in order, and how many there are in all when all were seen.
    """
    last = _LAST_M if place.radius is None else min(place.radius, _LAST_M)
    asked = bool(search.layers or search.filters or search.nodes or search.few is not None)
    most = max(_LOOK_ASKED if asked else _LOOK, 2 * need)
    few = None if search.few is None else searching.boxes_of_few(session, search)
    too_few, too_many = 0.0, math.inf  # radii
    streams, growth = False, math.sqrt(_SLOW_GROWTH)
    radius = min(_FIRST_M if few is None or not len(few) else few.reach(place.lon, place.lat, need), last)
    for look in itertools.count():
        deadline.check()
        if few is None and asked and (look == _LOOKS or too_many < math.inf):
            asked = False
            if searching.gather(session, search):  # what is sought is rare
                return _nearest(session, search, sieve, place, need, deadline)
        boxes = bands(place.lon, place.lat, radius)
        ids = spatial.some(session, boxes, most + 1) if few is None else few.meeting(boxes)
        if len(ids) > most and not streams and radius > max(_NARROWEST_M, too_few * _SAME):
            too_many, most = radius, max(most, min(2 * most, _LOOK_MOST))
            radius = max(math.sqrt(max(too_few, radius / 16) * radius), _NARROWEST_M)
            continue
        if len(ids) <= most:
            rows = searching.all_rows(session, replace(search, few=sorted(ids)))
        else:  # many at one place, or in the corners of a wide box: all are read, the best are kept
            streams = True
            rows = searching.all_rows(session, search, boxes=boxes)
        hits, total = _best(rows, sieve, need, deadline)
        near = [hit for hit in hits if hit[2] is not None and hit[2] <= radius]
        if len(near) >= need:
            return near, None
        if radius >= last:
            return hits, total
        too_few = radius
        # From here on every branch ends: what streams never looks less far again, and its growth grows.
        if len(hits) >= need:  # some are in the corners of the boxes: so far one must look, and no farther
            radius, streams = min((hits[-1][2] or 0) * _A_LITTLE_MORE, last), True
        elif streams:
            growth = min(growth * growth, _MOST_GROWTH)
            radius = min(radius * growth, last)
        elif too_many <= too_few * _SAME:
            radius, streams = too_many, True
        else:
            wider = radius * min(_MOST_GROWTH, max(_SLOW_GROWTH, math.sqrt(1.5 * need / max(len(near), 0.5))))
            radius = min(wider, last, math.sqrt(too_few * too_many))
    raise AssertionError("unreachable")
