"""The nodes that are nearest to a place, in order. Nothing is read that cannot be among them, as far as an index of boxes tells."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.orm import Session

from services.mobility import spatial
from services.mobility.geometry.boxes import EARTH_M, Box, around
from services.mobility.reads.rules.nearby import cut, least_of, quarters
from services.mobility.reads.rules.queries import Place
from services.mobility.reads.service.sieve import Hit, Sieve, best_of
from services.mobility.reads.store import searching
from services.mobility.reads.store.deadline import Deadline
from services.mobility.reads.store.searching import Search

AT_HAND: Final = 2000  # nodes whose boxes are read at once, instead of the windows
LOOK: Final = 1000  # nodes that a look may find
LOOK_ASKED: Final = 5000  # when only some of them are what is sought
CELL: Final = 200  # nodes of a cell
LOOK_MOST: Final = 10_000  # when few of them are
RARE: Final = 30_000  # nodes to look at for those that are sought: then these are gathered first
_SURE: Final = 2000  # nodes that were looked at, before anything is called rare
_CELLS: Final = 300  # that are looked into one by one; the rest is read as it comes
_FIRST_M: Final = 250.0  # radius of the first look around a place
_LAST_M: Final = math.pi * EARTH_M  # no place is farther
_NARROWEST_M: Final = 1.0
_MOST_GROWTH: Final = 8.0
_LEAST_GROWTH: Final = 1.1
_A_LITTLE_MORE: Final = 1.000_001
_NARROWER: Final = 2  # times that a window which holds too much is made narrower
_AHEAD: Final = 1.5  # times what is needed that the next window should hold

Result = tuple[list[Hit], int | None]  # the nearest, in order; how many there are in all, None when not all were seen


class Nearest:
    """One search. need: how many. Windows around the place grow until they hold enough; one that holds too much is cut in cells."""

    def __init__(self, session: Session, search: Search, sieve: Sieve, place: Place, need: int, deadline: Deadline) -> None:
        self._session = session
        self._search = replace(search, few=None)
        self._few = search.few
        self._kept = None if search.few is None else frozenset(search.few)
        self._sieve = sieve
        self._lon, self._lat = place.lon, place.lat
        self._last = _LAST_M if place.radius is None else min(place.radius, _LAST_M)
        self._need = need
        self._deadline = deadline
        self._asked = bool(search.layers or search.filters or search.nodes or search.few is not None)
        self._most = max(LOOK_ASKED if self._asked else LOOK, 2 * need)
        # routes, regions and names: a walk finds out soon whether they are few, as areas of regions are in every cell
        self._by_columns = bool(search.nodes) and not (search.layers or search.filters or search.boxes)
        self._seen, self._passed = 0, 0  # nodes that were looked at, and what of them is sought

    def find(self) -> Result:
        """Find them. Raises Refusal 422 after the deadline."""
        if self._few is not None and len(self._few) <= AT_HAND:
            return self._of_few(self._few)
        boxes = self._search.boxes
        if boxes and min(least_of(self._lon, self._lat, boxes)) > 0:  # an area that the place is not in
            found = self._by_cells(boxes)
        else:
            found = self._by_windows()
        return self._of_few(self._few or []) if found is None else found

    def _by_windows(self) -> Result | None:
        """None: what is sought is rare, and the few are known."""
        radius, smaller, narrower = min(_FIRST_M, self._last), 0.0, 0
        total: int | None
        while True:
            self._deadline.check()
            boxes = around(self._lon, self._lat, radius)
            ids = spatial.some(self._session, boxes, self._most + 1)
            if len(ids) <= self._most:
                hits, total = self._sift(ids)
            elif narrower < _NARROWER and radius > 2 * max(smaller, _NARROWEST_M):
                narrower += 1
                radius = math.sqrt(max(smaller, radius / 16) * radius)
                continue
            else:
                return None if self._by_columns and self._gathers() else self._by_cells(self._pieces(boxes))
            if not ids and not smaller:
                data = searching.data_box(self._session)
                if data is not None and least_of(self._lon, self._lat, [data])[0] > radius:
                    return self._by_cells(self._pieces([data]))
            near = [hit for hit in hits if _far(hit) <= radius]
            if len(near) >= self._need:
                return near, None
            if radius >= self._last:
                return hits, total
            if (smaller and self._by_columns and self._gathers()) or self._are_rare():
                return None
            smaller = radius
            if len(hits) >= self._need:  # some are in the corners of the boxes: so far one must look, and no farther
                radius = _far(hits[-1]) * _A_LITTLE_MORE
            else:
                radius *= self._growth(len(near), len(ids))
            radius = min(radius, self._last)

    def _pieces(self, boxes: Sequence[Box]) -> list[Box]:
        """Cut all that is asked about at the sides of these boxes."""
        pieces = around(self._lon, self._lat, self._last)
        for box in boxes:
            pieces = [part for piece in pieces for part in cut(piece, box)]
        return pieces

    def _growth(self, near: int, held: int) -> float:
        """Return how many times as wide the next window is, and let it hold as many nodes as it will. held: by this one."""
        growth = min(_MOST_GROWTH, max(_LEAST_GROWTH, math.sqrt(_AHEAD * self._need / max(near, 0.5))))
        if self._asked:
            self._look_at_more(_AHEAD * held * growth**2)
        return growth

    def _look_at_more(self, nodes: float) -> None:
        self._most = int(max(self._most, min(nodes, LOOK_MOST)))

    def _to_see(self) -> float:
        """Estimate how many nodes hold as many as are needed, by the share so far."""
        return self._need * self._seen / max(self._passed, 1)

    def _are_rare(self) -> bool:
        """Find out whether what is sought is rare, and then gather it: `_few` is known afterwards."""
        return self._seen >= _SURE and self._to_see() >= RARE and self._gathers()

    def _gathers(self) -> bool:
        """Gather what is sought, once; say whether it is few."""
        if not self._asked:
            return False
        self._asked = False
        if self._few is None and searching.gather(self._session, self._search):
            self._few = self._search.few
        return self._few is not None

    def _sift(self, ids: Collection[int]) -> tuple[list[Hit], int]:
        """Return what is sought among these nodes, the nearest first, and how many they are."""
        self._seen += len(ids)
        chosen = list(ids if self._kept is None else self._kept.intersection(ids))
        chosen = searching.having(self._session, self._search, chosen)
        if not chosen:
            return [], 0
        rows = searching.all_rows(self._session, replace(self._search, few=sorted(chosen)))
        hits, total = best_of(rows, self._sieve, self._need, self._deadline)
        self._passed += total
        return hits, total

    def _by_cells(self, boxes: Sequence[Box]) -> Result | None:
        """Look into the nearest cell, again and again; one that holds too much is cut in four. None: as `_by_windows`."""
        order = itertools.count()
        cells = self._nearest_first(boxes, order)
        heapq.heapify(cells)
        best: dict[int, Hit] = {}
        farthest, most = math.inf, max(CELL, 2 * self._need)
        looks = 0
        while cells and cells[0][0] <= farthest:
            self._deadline.check()
            box = heapq.heappop(cells)[2]
            looks += 1
            ids = spatial.some(self._session, [box], most + 1)
            if len(ids) > most:
                parts = quarters(box) if looks < _CELLS else []
                if parts:
                    for cell in self._nearest_first(parts, order):
                        heapq.heappush(cells, cell)
                    continue
                rows = searching.all_rows(self._session, replace(self._search, few=self._few), boxes=[box])
                hits, _ = best_of(rows, self._sieve, self._need, self._deadline)
            else:
                hits, _ = self._sift(ids)
            best.update((hit[1], hit) for hit in hits)
            if len(best) >= self._need:
                best = {hit[1]: hit for hit in heapq.nsmallest(self._need, best.values())}
                farthest = max(_far(hit) for hit in best.values())
            elif self._are_rare():
                return None
            elif self._asked:
                most = max(most, int(min(self._to_see(), LOOK_MOST)))
        return sorted(best.values()), len(best) if len(best) < self._need else None

    def _nearest_first(self, boxes: Sequence[Box], order: itertools.count[int]) -> list[tuple[float, int, Box]]:
        near = zip(least_of(self._lon, self._lat, boxes), boxes, strict=True)
        return [(distance, next(order), box) for distance, box in near if distance <= self._last]

    def _of_few(self, ids: Sequence[int]) -> Result:
        """Read those of the few whose boxes are the nearest, until the next one's is too far."""
        boxes = searching.boxes_of_few(self._session, self._search, ids, self._lon, self._lat)
        best: list[Hit] = []
        begun, size = 0, 2 * self._need
        while begun < len(boxes.ids) and boxes.least[begun] <= self._last:
            if len(best) >= self._need and boxes.least[begun] > _far(best[self._need - 1]):
                return best, None
            self._deadline.check()
            some = sorted(boxes.ids[begun : begun + size])
            rows = searching.all_rows(self._session, replace(self._search, few=some))
            best = sorted(best + best_of(rows, self._sieve, self._need, self._deadline)[0])
            begun, size = begun + size, 2 * size
        return best, len(best) if len(best) < self._need else None


def _far(hit: Hit) -> float:
    return math.inf if hit[2] is None else hit[2]
