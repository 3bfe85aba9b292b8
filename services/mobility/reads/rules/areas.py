"""Areas that nodes are sought in. No framework."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from services.mobility.geometry.boxes import Box
from services.mobility.geometry.wkb import POINT_BYTES

_NEIGHBOURS: Final = 0.00002  # degrees, about 2 m: areas that only share a border are no part of each other, as in the original
_CORNERS: Final = 20_000  # of an area that is made smaller by that
_CROWD: Final = 8  # sides near to a side, on average
_STRIPS: Final = 64
_TRIED: Final = 100  # corners of an area that tell most shapes which do not contain it


class Area:
    """The place of a node, to test which other nodes are inside or cross it. wkb: its kept geometry. Not thread-safe."""

    def __init__(self, wkb: bytes) -> None:
        import shapely  # here: it takes time and memory, and most processes are never asked

        self._shapely = shapely
        self._wkb = wkb
        self._whole = shapely.from_wkb(wkb)
        self._is_point = len(wkb) == POINT_BYTES  # a point contains nothing else
        self._inner = self._whole
        self._crowded = crowded(self._whole)
        positions = shapely.get_coordinates(self._whole)
        self._corners = shapely.points(positions[:: -(-len(positions) // _TRIED)])
        if shapely.get_dimensions(self._whole) == 2 and not self._crowded:  # a point and a line have no inside
            inner = shapely.buffer(self._whole, -_NEIGHBOURS, quad_segs=1)
            self._inner = self._whole if inner.is_empty else inner
        shapely.prepare(self._inner)
        self.box = Box(*shapely.bounds(self._inner).tolist())

    def holds(self, wkbs: Sequence[bytes]) -> list[bool]:
        """Say of each kept geometry whether it meets the area and does not contain all of it, as the area itself does."""
        shapes = self._shapely.from_wkb(np.array(wkbs, object))
        found = self._shapely.intersects(self._inner, shapes)
        for place in np.flatnonzero(found).tolist():
            if wkbs[place] == self._wkb or (
                (self._is_point or len(wkbs[place]) != POINT_BYTES) and self._contained_by(shapes[place])
            ):  # itself as a rule, or something as large
                found[place] = False
        held: list[bool] = found.tolist()
        return held

    def _contained_by(self, shape: Any) -> bool:
        west, south, east, north = self._shapely.bounds(self._whole).tolist()
        own = self._shapely.bounds(shape).tolist()
        if own[0] > west or own[1] > south or own[2] < east or own[3] < north:
            return False
        self._shapely.prepare(shape)
        if not self._shapely.covers(shape, self._corners).all():
            return False
        if self._crowded or crowded(shape):
            return True
        try:
            return bool(self._shapely.covers(shape, self._whole))
        except self._shapely.errors.GEOSException:  # its sides cross each other
            return bool(self._shapely.covers(self._shapely.make_valid(shape), self._whole))


def crowded(shape: Any) -> bool:
    """Say whether so many sides are near to each other that GEOS could take minutes, and gigabytes, to compute with them.

    It takes so long for a comb of 10,000 teeth, and for 3,000 sides that all cross each other: it looks for all the places where.
    """
    import shapely

    pieces = shapely.get_rings(shape) if shapely.get_dimensions(shape) == 2 else shapely.get_parts(shape)
    positions, ring = shapely.get_coordinates(pieces, return_index=True)
    if len(positions) > _CORNERS:
        return True
    same = ring[1:] == ring[:-1]
    low = np.minimum(positions[:-1], positions[1:])[same] - _NEIGHBOURS
    high = np.maximum(positions[:-1], positions[1:])[same] + _NEIGHBOURS
    if not len(low):
        return False
    allowed = _CROWD * len(low) + 1000
    edges = np.linspace(low[:, 0].min(), high[:, 0].max(), _STRIPS + 1)
    met = 0
    for west, east in itertools.pairwise(edges):
        here = (low[:, 0] <= east) & (high[:, 0] >= west)
        met += min(_overlaps(low[here, axis], high[here, axis]) for axis in (0, 1))
        if met > allowed:
            return True
    return False


def _overlaps(low: Any, high: Any) -> int:
    """Count the pairs of spans that overlap."""
    count = len(low)
    apart = count * count - int(np.searchsorted(np.sort(low), high, "right").sum())
    return count * (count - 1) // 2 - apart
