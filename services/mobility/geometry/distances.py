"""Distances on a sphere of the Earth's mean radius, in metres: the same on every store, as no database computes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from services.mobility.geometry.boxes import EARTH_M
from services.mobility.geometry.shapes import Floats
from services.mobility.geometry.wkb import POINT_BYTES

_POINTS: Final = np.dtype([("order", "u1"), ("kind", "<u4"), ("lon", "<f8"), ("lat", "<f8")])
_LEAST_SCALE: Final = 1e-12  # of a degree of longitude at a pole, so that it can be divided by


def metres(lon: float, lat: float, wkbs: Sequence[bytes]) -> list[float]:
    """Return the distance from a place to each of these kept geometries. 0 within a polygon.

    To a point: by the haversine formula. To another geometry: to the point of it that is nearest in a plane with the scale of the query's
    latitude, or to one of its vertices if that is nearer. Across the date line, too.
    """
    found = np.empty(len(wkbs))
    points = [place for place, wkb in enumerate(wkbs) if len(wkb) == POINT_BYTES]  # nothing else is that short
    if points:
        read = np.frombuffer(b"".join([wkbs[place] for place in points]), _POINTS)
        found[points] = _haversine(lon, lat, read["lon"], read["lat"])
    if len(points) < len(wkbs):
        others = [place for place, wkb in enumerate(wkbs) if len(wkb) != POINT_BYTES]
        found[others] = _to_shapes(lon, lat, [wkbs[place] for place in others])
    distances: list[float] = found.tolist()
    return distances


def _haversine(lon: float, lat: float, lons: Floats, lats: Floats) -> Floats:
    north, norths = math.radians(lat), np.radians(lats)
    half = np.sin((norths - north) / 2) ** 2 + math.cos(north) * np.cos(norths) * np.sin(np.radians(lons - lon) / 2) ** 2
    distances: Floats = 2 * EARTH_M * np.arcsin(np.sqrt(np.minimum(half, 1)))
    return distances


def _to_shapes(lon: float, lat: float, wkbs: Sequence[bytes]) -> Floats:
    import shapely

    shapes = shapely.from_wkb(np.array(wkbs, object))
    vertices = shapely.get_coordinates(shapes)
    counts = shapely.get_num_coordinates(shapes)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    found: Floats = np.minimum.reduceat(_haversine(lon, lat, vertices[:, 0], vertices[:, 1]), starts)
    scale = max(math.cos(math.radians(lat)), _LEAST_SCALE)
    east = vertices[:, 0] - lon
    # What is more than half of the Earth away is seen again around the other side.
    turns = (0.0, math.copysign(360, lon)) if abs(lon) > 0 else (0.0,)
    for turn in turns:
        near = np.arange(len(shapes)) if turn == 0 else np.flatnonzero(np.maximum.reduceat(abs(east), starts) > 180)
        if len(near):
            chosen = np.repeat(np.isin(np.arange(len(shapes)), near), counts)
            plane = np.column_stack([(east[chosen] + turn) * scale, vertices[chosen, 1] - lat])
            found[near] = np.fmin(found[near], _in_plane(shapes[near], plane, lon, lat, scale))
    return found


def _in_plane(shapes: Any, plane: Floats, lon: float, lat: float, scale: float) -> Floats:
    """Return the distances from the origin of a plane, NaN where GEOS finds none. plane: the vertices of the shapes in it."""
    import shapely

    with np.errstate(all="ignore"):  # GEOS divides by the lengths of sides, which may be nothing, and numpy tells of it
        lines = shapely.shortest_line(shapely.set_coordinates(shapes.copy(), plane), shapely.Point(0, 0))
    there = shapely.get_num_coordinates(lines) == 2
    nearest = np.full((len(lines), 2), np.nan)
    nearest[there] = shapely.get_coordinates(lines[there])[::2]
    return _haversine(lon, lat, lon + nearest[:, 0] / scale, lat + nearest[:, 1])
