"""Outlines as clients write them, good and bad."""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from services.sessions.items.rules import polygons

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10]]
CLOSED = [*SQUARE, SQUARE[0]]
HOLE = [[2, 2], [2, 4], [4, 4], [4, 2], [2, 2]]


@pytest.mark.parametrize(
    ("written", "area"),
    [
        (SQUARE, 100),
        (CLOSED, 100),
        (SQUARE[::-1], 100),
        ([[0, 0, 5], [10, 0, 5], [10, 10, 5]], 50),
        ({"type": "Polygon", "coordinates": [CLOSED]}, 100),
        ({"type": "Polygon", "coordinates": [CLOSED, HOLE]}, 96),
        ({"type": "MultiPolygon", "coordinates": [[CLOSED], [[[20, 0], [30, 0], [30, 10], [20, 0]]]]}, 150),
        ("POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))", 100),
        ("polygon((0 0,10 0,10 10,0 10,0 0),(2 2,2 4,4 4,4 2,2 2))", 96),
        ("  MULTIPOLYGON (((0 0, 1e1 0, 10. 10, 0 10, 0 0)), ((20 0, 30 0, 30 10, 20 0)))  ", 150),
        ("POLYGON Z ((0 0 3, 10 0 3, 10 10 3, 0 10 3, 0 0 3))", 100),
    ],
)
def test_an_outline_is_read_in_every_form(written: Any, area: float) -> None:
    outline = polygons.read(written)
    assert outline.area == pytest.approx(area)
    kept = polygons.to_geojson(outline)
    parts = [kept["coordinates"]] if len(outline.geoms) == 1 else kept["coordinates"]
    assert kept["type"] == ("Polygon" if len(outline.geoms) == 1 else "MultiPolygon")
    assert polygons.from_geojson([kept])[0].equals(outline)
    assert polygons.bounds_of({"polygons": kept}) == outline.bounds
    assert polygons.points_of({"polygons": kept}) == shapely.get_num_coordinates(outline)
    for rings in parts:  # outer rings counter-clockwise, holes clockwise
        assert [_turn(ring) > 0 for ring in rings] == [True] + [False] * (len(rings) - 1)


def _turn(ring: list[list[float]]) -> float:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring))


def _nested(depth: int) -> Any:
    found: Any = [0, 0]
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (None, "expected a list"),
        (7, "expected a list"),
        ([], "the outer ring needs at least 3 different points"),
        ([[0, 0], [10, 0]], "the outer ring needs at least 3 different points"),
        ([[0, 0], [10, 0], [0, 0]], "the outer ring needs at least 3"),
        ([[0, 0], [10, 0], "x"], "point 2 of the outer ring is not [x, y]"),
        ([[0, 0], [10], [1, 1]], "point 1 of the outer ring is not [x, y]"),
        ([[0, 0], [1, 0, 0, 0], [1, 1]], "point 1 of the outer ring is not [x, y]"),
        ([[0, 0], [10, "0"], [1, 1]], "not a number"),
        ([[0, 0], [10, True], [1, 1]], "not a number"),
        ([[0, 0], [10, None], [1, 1]], "not a number"),
        ([[0, 0], [math.nan, 0], [1, 1]], "point 1 of the outer ring has a coordinate that is not from"),
        ([[0, 0], [1, 0, math.nan], [1, 1]], "point 1 of the outer ring has a coordinate that is not from"),
        ([[0, 0], [math.inf, 0], [1, 1]], "not from"),
        ([[0, 0], [1e308, 0], [1, 1]], "not from"),
        ([[0, 0], [10**400, 0], [1, 1]], "not from"),
        ([[0, 0], [10, 10], [10, 0], [0, 10]], "is not a valid polygon: Self-intersection"),
        ([[0, 0], [5, 5], [10, 10]], "is not a valid polygon"),
        ([[0, 0], [0, 0], [0, 0], [0, 0]], "is not a valid polygon"),
        ([[0, 0], [0.0001, 0], [0.0001, 0.0001], [0, 0.0001]], "is not a valid polygon"),  # nothing of it is left in millimetres
        ({}, "type is not Polygon"),
        ({"type": "Point", "coordinates": [0, 0]}, "type is not Polygon"),
        ({"type": "GeometryCollection", "geometries": []}, "type is not Polygon"),
        ({"type": ["Polygon"], "coordinates": [CLOSED]}, "type is not Polygon"),
        ({"type": "Polygon"}, "empty, or not nested"),
        ({"type": "Polygon", "coordinates": []}, "empty, or not nested"),
        ({"type": "Polygon", "coordinates": {"0": 1}}, "empty, or not nested"),
        ({"type": "Polygon", "coordinates": CLOSED}, "point 0 of the outer ring is not [x, y]"),
        ({"type": "Polygon", "coordinates": [5]}, "the outer ring is not a list"),
        ({"type": "MultiPolygon", "coordinates": [CLOSED]}, "is not [x, y]"),
        ({"type": "MultiPolygon", "coordinates": [[CLOSED], []]}, "empty, or not nested"),
        (
            {"type": "Polygon", "coordinates": [CLOSED, [[20, 20], [21, 20], [21, 21], [20, 20]]]},
            "is not a valid polygon: Hole lies outside",
        ),
        ({"type": "Polygon", "coordinates": [CLOSED, [[2, 2]]]}, "hole 0 needs at least 3"),
        ({"type": "MultiPolygon", "coordinates": [[CLOSED], [CLOSED]]}, "is not a valid polygon"),
        ({"type": "Polygon", "coordinates": _nested(500)}, "is not [x, y]"),
        ({"type": "MultiPolygon", "coordinates": [[CLOSED], [[[0, 0]]]]}, "the outer ring of polygon 1 needs"),
        ("", "expected a list"),
        ("LINESTRING (0 0, 1 1)", "this text is not POLYGON"),
        ("GEOMETRYCOLLECTION (" * 500, "this text is not POLYGON"),
        ("POLYGON EMPTY", "this text is not POLYGON"),
        ("POLYGON ()", "empty, or not nested"),
        ("POLYGON ((0 0, 1 0, 1 1)", "not well-formed WKT"),
        ("POLYGON ((nan nan, 1 0, 1 1, nan nan))", "this text is not POLYGON"),
        ("POLYGON ((0 0, 1e400 0, 1 1, 0 0))", "not from"),
        ("POLYGON ((0 0, e 0, 1 1, 0 0))", "not well-formed WKT"),
        ("POLYGON " + "(" * 40_000 + ")" * 40_000, "not well-formed WKT"),
        ("POLYGON ((" + "0 0," * 30_000 + "0 0))", "more than 1000 points"),
        ([[number, number * number] for number in range(1001)], "has more than 1000 points"),
        ({"type": "MultiPolygon", "coordinates": [[CLOSED]] * 201}, "has more than 1000 points"),
    ],
)
def test_a_bad_outline_is_told_what_is_wrong(written: Any, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)) as told:
        polygons.read(written)
    assert len(str(told.value)) < 300


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["Polygon", "POLYGON ((0 0"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["type", "coordinates", "x"]), inner, max_size=3),
    max_leaves=20,
)


@given(_JUNK)
def test_whatever_comes_in_is_read_or_refused(written: Any) -> None:
    try:
        outline = polygons.read(written)
    except ValueError:
        return
    assert outline.is_valid and outline.area > 0


@given(st.lists(st.lists(st.floats(-1e8, 1e8), min_size=2, max_size=3), min_size=3, max_size=8))
def test_what_is_read_is_valid_and_survives_json(points: list[list[float]]) -> None:
    try:
        outline = polygons.read(points)
    except ValueError:
        return
    again = polygons.read(json.loads(json.dumps(polygons.to_geojson(outline))))
    assert again.equals_exact(outline, 0)


@pytest.mark.parametrize("points", [[[-0.001, 0], [10, 0], [10, 10]], [[0, 0], [100.001, 0], [10, 10]], [[0, 0], [50, 200], [10, 10]]])
def test_an_outline_over_the_edge_is_refused(points: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="reaches over the edge of the map, which is 100 by 100 metres"):
        polygons.within(polygons.read(points), 100)


def test_an_outline_on_the_edge_is_inside() -> None:
    polygons.within(polygons.read([[0, 0], [100, 0], [100, 100], [0, 100]]), 100)


def test_the_first_overlap_is_measured() -> None:
    others = [polygons.to_geojson(polygons.read([[x, 0], [x + 10, 0], [x + 10, 10], [x, 10]])) for x in (10, 5, 1)]
    assert polygons.overlap(polygons.read(SQUARE), others) == (1, 50)
    assert polygons.overlap(polygons.read(SQUARE), others[:1]) is None  # they share an edge
    assert polygons.overlap(polygons.read(SQUARE), []) is None
