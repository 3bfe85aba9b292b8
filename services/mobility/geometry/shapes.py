"""A geometry in memory, between what clients send and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

VERTEX_LIMIT: Final = 100_000  # of one geometry
KINDS: Final = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon")  # in WKB's order, from 1 on
FEWEST: Final = {1: 1, 2: 2, 3: 4}  # positions, by the kind of a part: of a point, of a line, of a ring
_TOO_FEW: Final = {2: "a line has at least 2 positions", 3: "a ring has at least 4 positions"}
COLLECTION: Final = 7  # WKB's number of a GeometryCollection


class Fault(Exception):
    """A geometry is wrong. The text says why; it is empty for a GeometryCollection, which has a message of its own."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A geometry of one kind. kind: WKB's number, 1 to 6. parts: of each part, the number of positions of each of its rings.

    What is not a polygon has one ring a part; what is not "multi" has one part. coordinates: all positions in order, x before y.
    """

    kind: int
    parts: tuple[tuple[int, ...], ...]
    coordinates: Floats


def checked(kind: int, parts: tuple[tuple[int, ...], ...], coordinates: Floats) -> Shape:
    """Return a shape that is not empty, has enough positions and closed rings. Its rings are not empty. Raises Fault."""
    single = kind if kind <= 3 else kind - 3
    if not parts or not all(parts):
        raise Fault("it is empty")
    fewest = FEWEST[single]
    at = 0
    for part in parts:
        for count in part:
            if count < fewest:
                raise Fault(_TOO_FEW[single])
            if single == 3 and (coordinates[at] != coordinates[at + count - 1]).any():
                raise Fault("a ring is not closed: its last position must be its first")
            at += count
    return Shape(kind, parts, coordinates)


def too_many() -> Fault:
    return Fault(f"it has more than {VERTEX_LIMIT:,} positions")
