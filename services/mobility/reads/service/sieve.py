"""What no index tells of nodes is asked of their rows in Python."""

from __future__ import annotations

import contextlib
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.mobility.geometry.distances import metres
from services.mobility.reads.rules import names
from services.mobility.reads.rules.areas import Area
from services.mobility.reads.rules.queries import Place
from services.mobility.reads.store.deadline import Deadline
from services.mobility.reads.store.searching import Rows

_SPARE: Final = 1000  # hits that are kept beside the best before they are sorted

Hit = tuple[tuple[Any, ...], int, float | None]  # rank, id, distance


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


def best_of(chunks: Rows, sieve: Sieve, need: int, deadline: Deadline) -> tuple[list[Hit], int]:
    """Return the best, in order, and how many there are in all."""
    found: list[Hit] = []
    total = 0
    with contextlib.closing(chunks):
        for rows in chunks:
            deadline.check()
            hits = sieve.sift(rows)
            total += len(hits)
            found += hits
            if len(found) > 2 * need + _SPARE:
                found = heapq.nsmallest(need, found)
    return heapq.nsmallest(need, found), total
