"""Outlines on the map: how clients write them, and what makes one good. Pure.

Coordinates are metres east and north of the map's south-west corner. An outline is kept as GeoJSON, a Polygon when it has one part, else
a MultiPolygon, to the millimetre, with outer rings counter-clockwise (RFC 7946, 3.1.6).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

Bounds = tuple[float, float, float, float]  # west, south, east, north

MOST_POINTS: Final = 1000
LEAST_OVERLAP_M2: Final = 0.01  # less than this is rounding
HELP: Final = "a list of [x, y] in metres, a GeoJSON Polygon or MultiPolygon, or WKT"
_WKT: Final = re.compile(r"\s*(?P<multi>MULTI)?POLYGON\s*(Z\s*)?(?P<coordinates>\([-+\d.eE\s,()]*\))\s*", re.IGNORECASE).fullmatch
_WKT_PER_POINT: Final = 100  # characters, far above what three numbers take


@dataclass(frozen=True, slots=True)
class Units:
    """What coordinates are. most_x, most_y: what lies beyond, on either side of 0, is a mistake. digits: that are kept."""

    most_x: float
    most_y: float
    digits: int


METRES: Final = Units(1e7, 1e7, 3)
DEGREES: Final = Units(180, 90, 9)


def read(written: Any, *, most_points: int = MOST_POINTS, units: Units = METRES) -> MultiPolygon:
    """Read an outline: a list of [x, y], a GeoJSON Polygon or MultiPolygon, or WKT. A third coordinate, the height, is left out.

    It is valid and has an area. Raises ValueError with what is wrong.
    """
    if isinstance(written, str):
        rings = _wkt(written, most_points)
    elif isinstance(written, Mapping):
        rings = _geojson(written)
    elif isinstance(written, list):
        rings = [[written]]
    else:
        raise ValueError(f"expected {HELP}")
    reader = _Rings(most_points, units)
    made = [[reader.ring(ring, _where(place, number, rings)) for number, ring in enumerate(one)] for place, one in enumerate(rings)]
    return checked(MultiPolygon([Polygon(one[0], one[1:]) for one in made]))


def checked(outline: MultiPolygon) -> MultiPolygon:
    """Return an outline with its rings in GeoJSON's directions. Raises ValueError for one that is not valid or has no area."""
    if not outline.is_valid:
        raise ValueError(f"is not a valid polygon: {shapely.is_valid_reason(outline)}")
    if not outline.area > 0:
        raise ValueError("has no area")
    found: MultiPolygon = shapely.orient_polygons(outline)
    return found


def within(outline: MultiPolygon, size_m: float) -> None:
    """Check that an outline is inside the map. size_m: of a side. Raises ValueError."""
    west, south, east, north = outline.bounds
    if west < 0 or south < 0 or east > size_m or north > size_m:
        raise ValueError(f"reaches over the edge of the map, which is {size_m:g} by {size_m:g} metres: x and y are from 0 to {size_m:g}")


def to_geojson(outline: BaseGeometry) -> dict[str, Any]:
    """Return an outline as GeoJSON: a Polygon when it has one part, else a MultiPolygon."""
    parts = shapely.get_parts(outline)
    found: dict[str, Any] = shapely.geometry.mapping(parts[0] if len(parts) == 1 else outline)
    return {"type": found["type"], "coordinates": _lists(found["coordinates"])}


def from_geojson(kept: Iterable[Mapping[str, Any]]) -> Any:
    """Return outlines that `to_geojson` wrote, as an array of shapely's."""
    return shapely.from_geojson([json.dumps(one) for one in kept])


def overlap(outline: MultiPolygon, others: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    """Find the first of the others that an outline overlaps: its place among them, and by how many square metres; None: it is on none.

    others: as `to_geojson` wrote them. What follows the first one is not measured, because rough outlines cost milliseconds each.
    """
    if not others:
        return None
    known = from_geojson(others)
    shapely.prepare(outline)
    for place in shapely.intersects(outline, known).nonzero()[0].tolist():
        shared = float(shapely.intersection(outline, known[place]).area)
        if shared > LEAST_OVERLAP_M2:
            return place, shared
    return None


def bounds_of(content: Mapping[str, Any]) -> Bounds | None:
    """Return the bounds of an item's outline; None for an item without one."""
    outline = content.get("polygons")
    if not isinstance(outline, Mapping):
        return None
    points = [point for rings in _geojson(outline) for point in rings[0]]
    return min(x for x, _ in points), min(y for _, y in points), max(x for x, _ in points), max(y for _, y in points)


def points_of(content: Mapping[str, Any]) -> int:
    """Count the points of an item's outline; 0 for an item without one."""
    outline = content.get("polygons")
    return sum(len(ring) for rings in _geojson(outline) for ring in rings) if isinstance(outline, Mapping) else 0


class _Rings:
    """Reads rings, and no more points than may be."""

    def __init__(self, most: int, units: Units) -> None:
        self._most = most
        self._units = units
        self._count = 0

    def ring(self, points: Any, where: str) -> list[tuple[float, float]]:
        if not isinstance(points, (list, tuple)):
            raise ValueError(f"{where} is not a list of points")
        self._count += len(points)
        if self._count > self._most:
            raise ValueError(f"has more than {self._most} points")
        read = [self._point(point, f"point {number} of {where}") for number, point in enumerate(points)]
        if read and read[0] != read[-1]:
            read.append(read[0])
        if len(read) < 4:
            raise ValueError(f"{where} needs at least 3 different points")
        return read

    def _point(self, point: Any, where: str) -> tuple[float, float]:
        if not isinstance(point, (list, tuple)) or not 2 <= len(point) <= 3:
            raise ValueError(f"{where} is not [x, y]")
        for value, most in zip(point, (self._units.most_x, self._units.most_y, float("inf")), strict=False):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{where} has a coordinate that is not a number")
            if not -most <= value <= most:  # NaN neither
                raise ValueError(f"{where} has a coordinate that is not from {-most:.0f} to {most:.0f}")
        digits = self._units.digits
        return round(float(point[0]), digits) + 0.0, round(float(point[1]), digits) + 0.0  # -0.0 becomes 0.0


def _geojson(written: Mapping[str, Any]) -> list[Any]:
    kind, coordinates = written.get("type"), written.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"expected {HELP}; this object's type is not Polygon or MultiPolygon")
    polygons = [coordinates] if kind == "Polygon" else coordinates
    if not isinstance(polygons, list) or not polygons or not all(isinstance(one, list) and one for one in polygons):
        raise ValueError(f"the coordinates of this {kind} are empty, or not nested as they should be")
    return polygons


def _wkt(written: str, most_points: int) -> list[Any]:
    if len(written) > most_points * _WKT_PER_POINT:
        raise ValueError(f"has more than {most_points} points")
    found = _WKT(written)
    if not found:
        raise ValueError(f"expected {HELP}; this text is not POLYGON (…) or MULTIPOLYGON (…)")
    try:
        nested = re.sub(r"[^(),]+", lambda numbers: _position(numbers[0]), found["coordinates"])
        coordinates = json.loads(nested.replace("(", "[").replace(")", "]"))
    except (ValueError, RecursionError):
        raise ValueError("is not well-formed WKT") from None
    return _geojson({"type": "MultiPolygon" if found["multi"] else "Polygon", "coordinates": coordinates})


def _position(numbers: str) -> str:
    return json.dumps([float(one) for one in numbers.split()]) if numbers.strip() else ""


def _where(place: int, number: int, polygons: Sequence[Any]) -> str:
    ring = "the outer ring" if number == 0 else f"hole {number - 1}"
    return ring if len(polygons) == 1 else f"{ring} of polygon {place}"


def _lists(coordinates: Any) -> Any:
    """Return nested tuples as lists, as JSON gives them back."""
    return [_lists(one) for one in coordinates] if isinstance(coordinates, (list, tuple)) else coordinates
