"""Geometries as clients send and read them: GeoJSON or WKB in any coordinate system, kept as WKB in EPSG:4326."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from services.mobility import refusals
from services.mobility.geometry import geojson, systems, wkb
from services.mobility.geometry.boxes import Box
from services.mobility.geometry.shapes import Fault, Shape
from services.mobility.geometry.systems import WGS84


@dataclass(frozen=True, slots=True)
class Geometry:
    """A checked geometry. wkb: in EPSG:4326, little-endian."""

    wkb: bytes
    box: Box


def read(given: Any, srid: int = WGS84) -> Geometry:
    """Check a geometry that a client sent. srid: of its coordinates. Raises Refusal 422."""
    return _read_all([given], srid, None)[0]


def read_all(given: Sequence[Any], srid: int = WGS84, indexes: Sequence[int] | None = None) -> list[Geometry]:
    """Check geometries that a client sent: the same as `read` for each, and much faster for points.

    srid: of their coordinates; a WKB may name its own. indexes: where each stands in the request, 0, 1, 2, … by default; a refusal names
    it. Raises Refusal 422.
    """
    return _read_all(given, srid, range(len(given)) if indexes is None else indexes)


def _read_all(given: Sequence[Any], srid: int, indexes: Sequence[int] | None) -> list[Geometry]:
    found: list[Geometry | None] = [None] * len(given)
    shapes: dict[int, dict[int, Shape]] = {}  # by srid, by place
    points: dict[int, tuple[float, float]] = {}  # in another system than 4326, by place
    for place, one in enumerate(given):
        xy = geojson.plain_point(one)
        if xy is not None and srid != WGS84:
            points[place] = xy
        elif xy is not None and -180 <= xy[0] <= 180 and -90 <= xy[1] <= 90:
            x, y = float(xy[0]), float(xy[1])
            found[place] = Geometry(wkb.of_point(x, y), Box(x, y, x, y))
        else:
            try:
                shape, own = _parse(one)
                own = own or srid
                if own not in shapes and own not in (srid, WGS84):
                    if len(shapes) >= systems.SYSTEMS_A_REQUEST:
                        raise Fault(f"there are more than {systems.SYSTEMS_A_REQUEST} coordinate systems in one request")
                    systems.system(own, _where(place, indexes))
            except Fault as fault:
                _refuse(fault, place, indexes)
            shapes.setdefault(own, {})[place] = shape
    if points:
        _project_points(points, srid, found, indexes)
    for own, some in shapes.items():
        _project(some, own, found, indexes)
    return [one for one in found if one is not None]


def _parse(given: Any) -> tuple[Shape, int | None]:
    """Read GeoJSON, or WKB in hex; return its own srid, too."""
    if not isinstance(given, dict) or given.get("type") != "wkb":
        return geojson.parse(given), None
    text = given.get("wkb")
    if not isinstance(text, str):
        raise Fault("'wkb' is not a text of hexadecimal digits")
    try:
        return wkb.parse(bytes.fromhex(text))
    except ValueError:
        raise Fault("'wkb' is not a text of hexadecimal digits") from None


def _project_points(points: dict[int, tuple[float, float]], srid: int, found: list[Geometry | None], indexes: Sequence[int] | None) -> None:
    try:
        coordinates = np.array(list(points.values()), np.float64)
    except OverflowError:  # one of them is a whole number that no float holds
        coordinates = np.array([[_float(x), _float(y)] for x, y in points.values()])
    projected = _projected(coordinates, srid, list(points), [1] * len(points), indexes)
    for place, (x, y) in zip(points, projected.tolist(), strict=True):
        found[place] = Geometry(wkb.of_point(x, y), Box(x, y, x, y))


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.inf


def _project(shapes: dict[int, Shape], srid: int, found: list[Geometry | None], indexes: Sequence[int] | None) -> None:
    counts = [len(shape.coordinates) for shape in shapes.values()]
    given = np.concatenate([shape.coordinates for shape in shapes.values()])
    projected = _projected(given, srid, list(shapes), counts, indexes)
    starts = np.cumsum([0, *counts[:-1]])
    lowest, highest = np.minimum.reduceat(projected, starts).tolist(), np.maximum.reduceat(projected, starts).tolist()
    for (place, shape), low, high, coordinates in zip(shapes.items(), lowest, highest, _pieces(projected, counts), strict=True):
        found[place] = Geometry(wkb.write(Shape(shape.kind, shape.parts, coordinates)), Box(*low, *high))


def _projected(coordinates: Any, srid: int, places: Sequence[int], counts: Sequence[int], indexes: Sequence[int] | None) -> Any:
    """Bring the positions of many geometries to EPSG:4326 and check them. counts: positions of each."""
    if srid != WGS84:
        coordinates = systems.system(srid).to_wgs84(coordinates)
    try:
        systems.check(coordinates)
    except Fault:
        for place, piece in zip(places, _pieces(coordinates, counts), strict=True):
            try:
                systems.check(piece)
            except Fault as fault:
                _refuse(fault, place, indexes)
    return coordinates


def _pieces(coordinates: Any, counts: Sequence[int]) -> Iterable[Any]:
    at = 0
    for count in counts:
        yield coordinates[at : at + count]
        at += count


def _refuse(fault: Fault, place: int, indexes: Sequence[int] | None) -> NoReturn:
    raise refusals.geometry_invalid(str(fault), _where(place, indexes)) from None


def _where(place: int, indexes: Sequence[int] | None) -> dict[str, int] | None:
    return None if indexes is None else {"index": indexes[place]}


def to_geojson(kept: bytes) -> dict[str, Any]:
    """Return a kept geometry as GeoJSON."""
    point = wkb.point_of(kept)
    if point is not None:
        return {"type": "Point", "coordinates": list(point)}
    return geojson.show(kept)
