"""How densely areas are built on. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import shapely
from shapely import MultiPolygon

from services.sessions.items.rules import polygons
from services.sessions.items.rules.places import Place

DEFAULT_CELL_M: Final = 100
MOST_CELLS: Final = 10_000
MOST_AREAS: Final = 1000
MOST_POINTS: Final = 10_000  # of one area
MOST_PARTS: Final = 100_000  # of buildings in areas: a few seconds of work
_ROUNDING: Final = 1e-9  # of a square; a seventh of the map is a little less than that, and seven of them are the whole map
_AT_ONCE: Final = 10  # areas; all may have a part of every building
LOCAL, WGS84 = "local", "wgs84"


@dataclass(frozen=True, slots=True)
class Area:
    """An area to be measured. id, name: as the client gave them. outline: in metres on the map."""

    id: int | str
    name: str | None
    outline: MultiPolygon


def squares(size_m: int, cell_m: float) -> list[Area]:
    """Return the squares of a grid over the map, row by row from the south-west; those at the edge are cut off. Raises ValueError.

    cell_m: of a side.
    """
    count = max(1, math.ceil(size_m / cell_m - _ROUNDING))
    if count * count > MOST_CELLS:
        least = size_m / math.isqrt(MOST_CELLS)
        raise ValueError(f"these are more than {MOST_CELLS} squares; the smallest cell of this map is {least:g} metres")
    edges = [*(number * cell_m for number in range(count)), size_m]
    found = []
    for row in range(count):
        for column in range(count):
            square = shapely.box(edges[column], edges[row], edges[column + 1], edges[row + 1])
            found.append(Area(row * count + column, f"{column}, {row}", MultiPolygon([square])))
    return found


def read_areas(written: Any, place: Place, crs: str) -> list[Area]:
    """Read areas: a GeoJSON FeatureCollection, or a list of outlines. Raises ValueError.

    crs: what their coordinates are, metres on the map (`local`) or degrees of longitude and latitude (`wgs84`).
    """
    if crs == WGS84 and not place.is_on_earth:
        raise ValueError("this map has no place on Earth, so its areas are in metres: crs=local")
    if isinstance(written, Mapping) and written.get("type") == "FeatureCollection":
        features = written.get("features")
    else:
        features = written
    if not isinstance(features, list) or not features:
        raise ValueError("send a GeoJSON FeatureCollection, or a list of outlines, with at least one area")
    if len(features) > MOST_AREAS:
        raise ValueError(f"these are more than {MOST_AREAS} areas")
    return [_area(number, one, place, crs) for number, one in enumerate(features)]


def measure(areas: Sequence[Area], buildings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return how densely each area is built on. buildings: items of the list BUILDINGS.

    Of each: `buildings` that have a part in it, `footprintM2` of these parts and their share of the area, `floorAreaM2` of all their floors
    and its ratio to the area, and the area itself. Buildings do not overlap, so their parts add up. Raises ValueError for too many parts.
    """
    outlines = polygons.from_geojson(one["polygons"] for one in buildings)
    floors = [one["floors"] for one in buildings]
    shapes = [area.outline for area in areas]
    places, numbers = _meetings(shapes, shapely.STRtree(outlines))
    parts = shapely.area(shapely.intersection([shapes[one] for one in places], outlines[numbers]))
    counts: dict[int, int] = defaultdict(int)
    footprints: dict[int, float] = defaultdict(float)
    floor_areas: dict[int, float] = defaultdict(float)
    for place, building, part in zip(places, numbers, parts.tolist(), strict=True):
        if part > 0:
            counts[place] += 1
            footprints[place] += part
            floor_areas[place] += part * floors[building]
    return [_density(area, counts[place], footprints[place], floor_areas[place]) for place, area in enumerate(areas)]


def _meetings(shapes: Sequence[MultiPolygon], outlines: shapely.STRtree) -> tuple[list[int], list[int]]:
    """Return the places of areas and of buildings that meet, pair by pair. Raises ValueError for too many."""
    areas: list[int] = []
    buildings: list[int] = []
    for start in range(0, len(shapes), _AT_ONCE):
        some, others = outlines.query(shapes[start : start + _AT_ONCE], predicate="intersects").tolist()
        areas += [start + place for place in some]
        buildings += others
        if len(areas) > MOST_PARTS:
            raise ValueError(f"buildings have more than {MOST_PARTS} parts in these areas; measure fewer of them at a time")
    return areas, buildings


def _density(area: Area, buildings: int, footprint: float, floor_area: float) -> dict[str, Any]:
    whole = area.outline.area
    return {
        "id": area.id,
        "name": area.name,
        "areaM2": round(whole, 2),
        "buildings": buildings,
        "footprintM2": round(footprint, 2),
        "footprintShare": round(footprint / whole, 6),
        "floorAreaM2": round(floor_area, 2),
        "floorAreaRatio": round(floor_area / whole, 6),
        "polygons": polygons.to_geojson(area.outline),
    }


def _area(number: int, written: Any, place: Place, crs: str) -> Area:
    shape, name, given = written, None, None
    if isinstance(written, Mapping) and written.get("type") == "Feature":
        shape, given = written.get("geometry"), written.get("id")
        properties = written.get("properties")
        name = properties.get("name") if isinstance(properties, Mapping) else None
    try:
        outline = polygons.read(shape, most_points=MOST_POINTS, units=polygons.DEGREES if crs == WGS84 else polygons.METRES)
        if crs == WGS84:
            outline = _on_map(outline, place)
    except ValueError as error:
        raise ValueError(f"area {number}: {error}") from None
    known = isinstance(given, (int, str)) and not isinstance(given, bool)
    return Area(given if known else number, name[:100] if isinstance(name, str) else None, outline)  # type: ignore[arg-type]


def _on_map(outline: MultiPolygon, place: Place) -> MultiPolygon:
    moved = place.from_lonlat(outline)
    if not all(-polygons.METRES.most_x <= edge <= polygons.METRES.most_x for edge in moved.bounds):
        raise ValueError("is too far from the map")
    return polygons.checked(moved)
