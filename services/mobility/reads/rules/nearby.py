"""How near boxes are to a place. No framework."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from services.mobility.geometry.boxes import EARTH_M, Box
from services.mobility.geometry.shapes import Floats

_SLACK, _SLACK_M = 1 - 1e-7, 0.001  # numbers are rounded
SMALLEST: Final = 1e-6  # degrees; what is smaller is not cut


def least(lon: float, lat: float, sides: Floats) -> Floats:
    """Return for each box a distance in metres that nothing in it is nearer than; no more than a hair less than the box's own.

    sides: west, south, east, north of each. On the sphere, the other way round the Earth, too.
    """
    west, south, east, north = np.radians(sides.T)
    x, y = math.radians(lon), math.radians(lat)
    inside = (west <= x) & (x <= east)
    turn = np.minimum(_turn(west - x), _turn(east - x))
    turn[inside] = 0
    # On a meridian the nearest point is where a great circle from the place meets it at a right angle, or an end.
    foot = np.clip(np.arctan2(math.sin(y), math.cos(y) * np.cos(turn)), south, north)
    half = np.minimum.reduce([_half(y, one, turn) for one in (south, foot, north)])
    distances: Floats = 2 * EARTH_M * np.arcsin(np.sqrt(np.clip(half, 0, 1))) * _SLACK - _SLACK_M
    return np.maximum(distances, 0)


def _turn(angle: Floats) -> Floats:
    """The angle between two meridians, at most half a turn."""
    turned: Floats = np.abs(np.mod(angle + np.pi, 2 * np.pi) - np.pi)
    return turned


def _half(one: float, other: Floats, turn: Floats) -> Floats:
    found: Floats = np.sin((other - one) / 2) ** 2 + math.cos(one) * np.cos(other) * np.sin(turn / 2) ** 2
    return found


def least_of(lon: float, lat: float, boxes: Sequence[Box]) -> list[float]:
    """As `least`."""
    sides = np.array([(box.west, box.south, box.east, box.north) for box in boxes], np.float64).reshape(-1, 4)
    distances: list[float] = least(lon, lat, sides).tolist()
    return distances


def quarters(box: Box) -> list[Box]:
    """Cut a box in four, or in two when it is narrow. Nothing when it is too small to be cut."""
    lons = [(box.west + box.east) / 2] if box.east - box.west > SMALLEST else []
    lats = [(box.south + box.north) / 2] if box.north - box.south > SMALLEST else []
    return _cut(box, lons, lats) if lons or lats else []


def cut(box: Box, other: Box) -> list[Box]:
    """Cut a box at the sides of another one."""
    return _cut(box, (other.west, other.east), (other.south, other.north))


def _cut(box: Box, lons: Sequence[float], lats: Sequence[float]) -> list[Box]:
    across = [box.west, *(lon for lon in lons if box.west < lon < box.east), box.east]
    along = [box.south, *(lat for lat in lats if box.south < lat < box.north), box.north]
    return [Box(west, south, east, north) for west, east in itertools.pairwise(across) for south, north in itertools.pairwise(along)]


class Boxes:
    """Boxes of a few nodes, the nearest to a place first. rows: id, west, south, east, north."""

    def __init__(self, lon: float, lat: float, rows: Sequence[Sequence[Any]]) -> None:
        distances = least(lon, lat, np.array([tuple(row[1:5]) for row in rows], np.float64).reshape(-1, 4))
        order = np.argsort(distances)
        self.ids: list[int] = np.array([row[0] for row in rows], np.int64)[order].tolist()
        self.least: list[float] = distances[order].tolist()
