"""Boxes near a place. No framework."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from services.mobility.geometry.boxes import EARTH_M, METRES_PER_DEGREE, Box, around

_WIDE_M: Final = 200_000.0
_BANDS: Final = 16
_SLACK: Final = 1.05  # the plane's distances are not the sphere's


def bands(lon: float, lat: float, radius_m: float) -> list[Box]:
    """Return boxes that hold every point nearer to a place than the radius, as `around`, and little besides: a wide circle is cut in bands.

    In the corners of one wide box may lie whole countries that the circle does not touch.
    """
    whole = around(lon, lat, radius_m)
    if radius_m < _WIDE_M:
        return whole
    south, north = whole[0].south, whole[0].north
    edges = [south + (north - south) * step / _BANDS for step in range(_BANDS + 1)]
    found = []
    for low, high in itertools.pairwise(edges):
        reach = _reach(lat, low, high, radius_m)
        if reach is None:
            continue
        west, east = lon - reach, lon + reach
        if reach >= 180:
            found.append(Box(-180, low, 180, high))
        elif west < -180:
            found += [Box(west + 360, low, 180, high), Box(-180, low, east, high)]
        elif east > 180:
            found += [Box(west, low, 180, high), Box(-180, low, east - 360, high)]
        else:
            found.append(Box(west, low, east, high))
    return found


def _reach(lat: float, low: float, high: float, radius_m: float) -> float | None:
    """Return how many degrees east a circle goes between two latitudes, None when it is not there."""
    angle, north = radius_m / EARTH_M * (1 + 1e-9), math.radians(lat)
    sides = {math.radians(low), math.radians(high)}
    if abs(math.sin(north)) < math.cos(angle):  # it has a meridian of contact: there it is widest
        widest = math.asin(math.sin(north) / math.cos(angle))
        sides |= {min(max(widest, min(sides)), max(sides))}
    reaches = []
    for side in sides:
        across = math.cos(side) * math.cos(north)
        if across < 1e-12:
            return 180.0
        reaches.append((math.cos(angle) - math.sin(side) * math.sin(north)) / across)
    least = min(reaches)
    if least > 1:
        return None
    return 180.0 if least <= -1 else math.degrees(math.acos(least)) + 1e-7


class Boxes:
    """Boxes of a few nodes, to find those near a place without an index. rows: id, west, south, east, north."""

    def __init__(self, rows: Sequence[Sequence[Any]]) -> None:
        self._ids = np.array([row[0] for row in rows], np.int64)
        self._sides = np.array([tuple(row[1:5]) for row in rows], np.float64).reshape(-1, 4)

    def __len__(self) -> int:
        return len(self._ids)

    def meeting(self, boxes: Sequence[Box]) -> list[int]:
        """Return the ids of those that meet one of these."""
        west, south, east, north = self._sides.T
        found = np.zeros(len(self._ids), bool)
        for box in boxes:
            found |= (west <= box.east) & (east >= box.west) & (south <= box.north) & (north >= box.south)
        ids: list[int] = self._ids[found].tolist()
        return ids

    def reach(self, lon: float, lat: float, many: int) -> float:
        """Return a radius in metres within which so many are, more or less."""
        west, south, east, north = self._sides.T
        across = (np.clip(lon, west, east) - lon) * np.cos(np.radians(lat))
        along = np.clip(lat, south, north) - lat
        distances = np.sort(np.hypot(across, along))
        return float(distances[min(many, len(distances)) - 1]) * METRES_PER_DEGREE * _SLACK + 1
