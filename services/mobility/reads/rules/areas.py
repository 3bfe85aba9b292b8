"""Areas that nodes are sought in. No framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from services.mobility.geometry.boxes import Box
from services.mobility.geometry.wkb import POINT_BYTES

_NEIGHBOURS: Final = 0.00002  # degrees, about 2 m: areas that only share a border are no part of each other, as in the original


class Area:
    """The place of a node, to test which other nodes are inside or cross it. wkb: its kept geometry. Not thread-safe."""

    def __init__(self, wkb: bytes) -> None:
        import shapely  # here: it takes time and memory, and most processes are never asked

        self._shapely = shapely
        self._whole = shapely.from_wkb(wkb)
        self._is_point = len(wkb) == POINT_BYTES  # a point contains nothing else
        inner = shapely.buffer(self._whole, -_NEIGHBOURS, quad_segs=1)
        self._inner = self._whole if inner.is_empty else inner  # a point and a line have no inside
        shapely.prepare(self._inner)
        self.box = Box(*shapely.bounds(self._inner).tolist())

    def holds(self, wkbs: Sequence[bytes]) -> list[bool]:
        """Say of each kept geometry whether it meets the area and does not contain all of it, as the area itself does."""
        shapes = self._shapely.from_wkb(np.array(wkbs, object))
        found = self._shapely.intersects(self._inner, shapes)
        for place in np.flatnonzero(found).tolist():
            if (self._is_point or len(wkbs[place]) != POINT_BYTES) and self._contained_by(shapes[place]):
                found[place] = False
        held: list[bool] = found.tolist()
        return held

    def _contained_by(self, shape: Any) -> bool:
        west, south, east, north = self._shapely.bounds(self._whole).tolist()
        own = self._shapely.bounds(shape).tolist()
        if own[0] > west or own[1] > south or own[2] < east or own[3] < north:
            return False
        try:
            return bool(self._shapely.covers(shape, self._whole))
        except self._shapely.errors.GEOSException:  # its sides cross each other
            return bool(self._shapely.covers(self._shapely.make_valid(shape), self._whole))
