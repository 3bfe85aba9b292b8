"""Distances, beside those on the ellipsoid that pyproj computes: a sphere differs from it by 0.6 % at most."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pyproj
import pytest
import shapely

from services.mobility.geometry import geometries
from services.mobility.geometry.distances import metres

GEOD = pyproj.Geod(ellps="WGS84")


def kept(text: str) -> bytes:
    found: bytes = shapely.to_wkb(shapely.from_wkt(text), byte_order=1)
    return found


def between(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    distance: float = GEOD.inv(lon, lat, other_lon, other_lat)[2]
    return distance


def about(distance: float) -> Any:
    return pytest.approx(distance, rel=0.006, abs=0.01)


def along(lon: float, lat: float, corners: list[tuple[float, float]]) -> float:
    """The distance to a line, by measuring to many places on each of its sides, and to many more around the nearest."""
    found = []
    for (x, y), (to_x, to_y) in itertools.pairwise(corners):
        low, high = 0.0, 1.0
        for _ in range(3):
            shares = [low + (high - low) * step / 100 for step in range(101)]
            distances = [between(lon, lat, x + (to_x - x) * share, y + (to_y - y) * share) for share in shares]
            nearest = shares[distances.index(min(distances))]
            low, high = max(0.0, nearest - (high - low) / 100), min(1.0, nearest + (high - low) / 100)
        found.append(min(distances))
    return min(found)


def test_to_points() -> None:
    chance = random.Random(1)
    places = [(chance.uniform(-180, 180), chance.uniform(-90, 90)) for _ in range(500)]
    places += [(4.9, 52.3), (4.9000001, 52.3), (-175.1, -52.3), (180, 90), (-180, -90)]
    points = [geometries.read({"type": "Point", "coordinates": list(place)}).wkb for place in places]
    for lon, lat in ((4.9, 52.3), (179.9, -10), (-179.9, 66), (0, 90), (0, -90), (180, 0), (0, 0)):
        assert metres(lon, lat, points) == [about(between(lon, lat, *place)) for place in places]


@pytest.mark.parametrize(("lon", "lat"), [(4.9, 52.3), (-70.5, -33), (179.99, 66), (-179.99, -16), (0, 0), (100, 85)])
def test_to_lines_and_polygons_nearby(lon: float, lat: float) -> None:
    chance = random.Random(2)

    def corner() -> tuple[float, float]:
        return round(lon + chance.uniform(-0.5, 0.5), 6), round(lat + chance.uniform(-0.5, 0.5), 6)

    for _ in range(5):
        line = [corner(), corner(), corner()]
        east = max(x for x, _ in line)
        if east > 180 or min(x for x, _ in line) < -180:  # as it is kept, east of the date line
            line = [(x - 360 if lon > 0 else x + 360, y) for x, y in line if (x > 180 if lon > 0 else x < -180)]
        if len(line) >= 2:
            text = ", ".join(f"{x} {y}" for x, y in line)
            assert metres(lon, lat, [kept(f"LINESTRING ({text})")]) == [about(along(lon, lat, line))]
            ring = [*line, line[0]]
            if len(ring) == 4 and not shapely.Polygon(ring).intersects(shapely.Point(lon, lat)):
                assert metres(lon, lat, [kept(f"POLYGON (({text}, {line[0][0]} {line[0][1]}))")]) == [about(along(lon, lat, ring))]


def test_within_a_polygon_it_is_nothing() -> None:
    square = "(4 52, 5 52, 5 53, 4 53, 4 52)"
    hole = "(4.4 52.4, 4.6 52.4, 4.6 52.6, 4.4 52.6, 4.4 52.4)"
    shapes = [
        kept(f"POLYGON ({square})"),
        kept(f"POLYGON ({square}, {hole})"),
        kept(f"MULTIPOLYGON (({square}))"),
        kept("LINESTRING (4 52, 5 53)"),
    ]
    inside, in_hole, multi, on_line = metres(4.5, 52.5, shapes)
    assert (inside, multi) == (0, 0)
    assert in_hole == about(between(4.5, 52.5, 4.4, 52.5))
    assert on_line == pytest.approx(0, abs=0.01)


def test_across_the_date_line() -> None:
    point, line, box = (
        kept("POINT (-179.9 10)"),
        kept("LINESTRING (-179.9 5, -179.9 15)"),
        kept("POLYGON ((-180 9, -179 9, -179 11, -180 11, -180 9))"),
    )
    wide = kept("MULTIPOINT (-179.9 10, 0 0, 100 20)")
    expected = between(179.9, 10, -179.9, 10)
    assert metres(179.9, 10, [point, line, wide]) == [about(expected)] * 3
    assert metres(179.9, 10, [box]) == [about(between(179.9, 10, 180, 10))]
    assert metres(180, 10, [box]) == [pytest.approx(0, abs=0.01)]
    mirrored = [kept("POINT (179.9 10)"), kept("LINESTRING (179.9 5, 179.9 15)")]
    assert metres(-179.9, 10, mirrored) == [about(expected)] * 2


def test_at_the_poles() -> None:
    for lat in (90, -90, 89.999999):
        line = kept(f"LINESTRING (-170 {lat * 0.99}, 170 {lat * 0.95})")
        assert metres(33, lat, [line]) == [about(between(33, lat, -170, lat * 0.99))]
    assert metres(0, 89.9, [kept("LINESTRING (180 89.9, 180 80)")]) == [about(between(0, 89.9, 180, 89.9))]


def test_odd_geometries_are_measured() -> None:
    bow = kept("POLYGON ((4 52, 5 53, 5 52, 4 53, 4 52))")
    flat = kept("POLYGON ((4 52, 4 52, 4 52, 4 52))")
    still = kept("LINESTRING (4 52, 4 52)")
    mixed = kept("GEOMETRYCOLLECTION (POINT (4 52), LINESTRING (4 52, 4 51))")
    assert metres(4, 52, [bow, flat, still, mixed]) == [0, 0, 0, 0]
    assert metres(3, 52, [bow, flat, still, mixed]) == [about(between(3, 52, 4, 52))] * 4


@pytest.mark.filterwarnings("error")
def test_sides_too_short_to_divide_by_are_measured() -> None:
    for text in ("LINESTRING (0 0, 5e-324 0)", "LINESTRING (1e-200 1e-200, 2e-200 2e-200)", "POLYGON ((0 0, 5e-324 0, 0 5e-324, 0 0))"):
        for lon in (0, 1e-15, 1):
            assert metres(lon, 0, [kept(text)]) == [about(between(lon, 0, 0, 0))]


def test_nothing_and_a_mixture_in_order() -> None:
    assert metres(4, 52, []) == []
    shapes = [kept("POINT (4 53)"), kept("LINESTRING (4 54, 5 54)"), kept("POINT (4 52)"), kept("LINESTRING (4 52, 5 52)")]
    assert metres(4, 52, shapes) == [about(between(4, 52, 4, 53)), about(between(4, 52, 4, 54)), 0, 0]
