"""Outlines on the map: how clients write them, and what makes one good. Pure.

Coordinates are metres east and north of the map's south-west corner. An outline is kept as a GeoJSON MultiPolygon, to the millimetre, with
outer rings counter-clockwise (RFC 7946, 3.1.6).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

Bounds = tuple[float, float, float, float]  # west, south, east, north

MOST_POINTS: Final = 1000
LEAST_OVERLAP_M2: Final = 0.01  # less than this is rounding
FAR: Final = 1e7  # metres; what lies beyond is a mistake
HELP: Final = "a list of [x, y] in metres, a GeoJSON Polygon or MultiPolygon, or WKT"
_DIGITS: Final = 3  # of a metre
_WKT: Final = re.compile(r"\s*(MULTI)?POLYGON\s*(Z\s*)?\([-+\d.eE\s,()]*\)\s*", re.IGNORECASE).fullmatch
_WKT_PER_POINT: Final = 100  # characters, far above what three numbers take


def read(written: Any, *, most_points: int = MOST_POINTS) -> MultiPolygon:
    """Read an outline: a list of [x, y], a GeoJSON Polygon or MultiPolygon, or WKT. A third coordinate, the height, is left out.

    It is not empty, it is valid, and each of its rings has an area. Raises ValueError with what is wrong.
    """
    if isinstance(written, str):
        rings = _wkt(written, most_points)
    elif isinstance(written, Mapping):
        rings = _geojson(written)
    elif isinstance(written, list):
        rings = [[written]]
    else:
        raise ValueError(f"expected {HELP}")
    counted = _Counted(most_points)
    made = [[counted.ring(ring, _where(place, number, rings)) for number, ring in enumerate(one)] for place, one in enumerate(rings)]
    return _checked(MultiPolygon([Polygon(one[0], one[1:]) for one in made]))


def within(outline: MultiPolygon, size_m: float) -> None:
    """Check that an outline is inside the map. size_m: of a side. Raises ValueError."""
    west, south, east, north = outline.bounds
    if west < 0 or south < 0 or east > size_m or north > size_m:
        raise ValueError(f"reaches over the edge of the map, which is {size_m:g} by {size_m:g} metres: x and y are from 0 to {size_m:g}")


def to_geojson(outline: BaseGeometry) -> dict[str, Any]:
    """Return an outline as GeoJSON."""
    found: dict[str, Any] = shapely.geometry.mapping(outline)
    return {"type": found["type"], "coordinates": _lists(found["coordinates"])}


def from_geojson(kept: Sequence[Mapping[str, Any]]) -> Any:
    """Return outlines that `to_geojson` wrote, as an array of shapely's."""
    return shapely.multipolygons(
        [[Polygon(rings[0], rings[1:]) for rings in one["coordinates"]] for one in kept],
    )


def bounds_of(content: Mapping[str, Any]) -> Bounds | None:
    """Return the bounds of an item's outline; None for an item without one."""
    outline = content.get("polygons")
    if not isinstance(outline, Mapping):
        return None
    points = [point for rings in outline["coordinates"] for point in rings[0]]
    return min(x for x, _ in points), min(y for _, y in points), max(x for x, _ in points), max(y for _, y in points)


class _Counted:
    """Reads rings, and no more points than may be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    def ring(self, points: Any, where: str) -> list[tuple[float, float]]:
        if not isinstance(points, (list, tuple)):
            raise ValueError(f"{where} is not a list of points")
        self._count += len(points)
        if self._count > self._most:
            raise ValueError(f"has more than {self._most} points")
        read = [_point(point, f"point {number} of {where}") for number, point in enumerate(points)]
        if read and read[0] != read[-1]:
            read.append(read[0])
        if len(read) < 4:
            raise ValueError(f"{where} needs at least 3 different points")
        return read


def _point(point: Any, where: str) -> tuple[float, float]:
    if not isinstance(point, (list, tuple)) or not 2 <= len(point) <= 3:
        raise ValueError(f"{where} is not [x, y]")
    for value in point:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{where} has a coordinate that is not a number")
        if not -FAR <= value <= FAR:  # NaN neither
            raise ValueError(f"{where} has a coordinate that is not from {-FAR:.0f} to {FAR:.0f}")
    return round(float(point[0]), _DIGITS) + 0.0, round(float(point[1]), _DIGITS) + 0.0  # -0.0 becomes 0.0


def _geojson(written: Mapping[str, Any]) -> list[Any]:
    kind, coordinates = written.get("type"), written.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"expected {HELP}; this object's type is not Polygon or MultiPolygon")
    polygons = [coordinates] if kind == "Polygon" else coordinates
    if not isinstance(polygons, list) or not polygons or not all(isinstance(one, list) and one for one in polygons):
        raise ValueError(f"the coordinates of this {kind} are empty, or not nested as GeoJSON has them")
    return polygons


def _wkt(written: str, most_points: int) -> list[Any]:
    if len(written) > most_points * _WKT_PER_POINT:
        raise ValueError(f"has more than {most_points} points")
    if not _WKT(written):
        raise ValueError(f"expected {HELP}; this text is not POLYGON (…) or MULTIPOLYGON (…)")
    if "((((" in re.sub(r"\s", "", written):
        raise ValueError("is not well-formed WKT: its parentheses are nested too deeply")
    try:
        found = shapely.from_wkt(written)
    except (shapely.errors.ShapelyError, ValueError):
        raise ValueError("is not well-formed WKT") from None
    if found is None or found.is_empty:
        raise ValueError("is empty")
    polygons = found.geoms if isinstance(found, MultiPolygon) else [found]
    return [[list(one.exterior.coords), *(list(ring.coords) for ring in one.interiors)] for one in polygons]


def _where(place: int, number: int, polygons: Sequence[Any]) -> str:
    ring = "the outer ring" if number == 0 else f"hole {number - 1}"
    return ring if len(polygons) == 1 else f"{ring} of polygon {place}"


def _checked(outline: MultiPolygon) -> MultiPolygon:
    if not outline.is_valid:
        raise ValueError(f"is not a valid polygon: {shapely.is_valid_reason(outline)}")
    if not outline.area > 0:
        raise ValueError("has no area")
    found: MultiPolygon = shapely.orient_polygons(outline)
    return found


def _lists(coordinates: Any) -> Any:
    """Return nested tuples as lists, as JSON gives them back."""
    return [_lists(one) for one in coordinates] if isinstance(coordinates, (list, tuple)) else coordinates
