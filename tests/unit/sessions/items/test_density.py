"""How densely areas are built on, and items as CSV and GeoJSON."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.sessions.items.rules import density, formats, polygons
from services.sessions.items.rules.places import Place
from tests.unit.sessions.conftest import API, refused, value

FLAT = Place(500, None, None)
DELFT = Place(500, 52.0, 4.36)


def building(number: int, points: Any, floors: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": number, "floors": floors, "polygons": polygons.to_geojson(polygons.read(points)), **more}


def square(x: float, y: float, side: float) -> list[list[float]]:
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]


def test_a_grid_covers_the_map_from_the_south_west() -> None:
    cells = density.squares(500, 200)
    assert [cell.outline.bounds for cell in cells[:4]] == [(0, 0, 200, 200), (200, 0, 400, 200), (400, 0, 500, 200), (0, 200, 200, 400)]
    assert sum(cell.outline.area for cell in cells) == 500 * 500
    assert len(density.squares(500, 1e308)) == 1
    assert [cell.outline.bounds[2] for cell in density.squares(100, 14.285714285714285)[5:7]] == pytest.approx([600 / 7, 100])
    with pytest.raises(ValueError, match="more than 10000 squares; the smallest cell of this map is 5 metres"):
        density.squares(500, 4.9)


def test_a_building_over_an_edge_counts_in_both_squares_with_its_parts() -> None:
    one = building(0, square(90, 0, 20), floors=3)
    left, right, *rest = density.measure(density.squares(200, 100), [one])
    assert (left["buildings"], left["footprintM2"], left["footprintShare"], left["floorAreaM2"], left["floorAreaRatio"]) == (
        1, 200, 0.02, 600, 0.06,
    )  # fmt: skip
    assert (right["buildings"], right["footprintM2"]) == (1, 200)
    assert [cell["buildings"] for cell in rest] == [0, 0]


def test_a_building_that_only_touches_is_not_in_it() -> None:
    _, right, *_ = density.measure(density.squares(200, 100), [building(0, square(0, 0, 100))])
    assert (right["buildings"], right["footprintM2"]) == (0, 0)


def test_no_buildings_no_density() -> None:
    assert [cell["floorAreaRatio"] for cell in density.measure(density.squares(200, 100), [])] == [0, 0, 0, 0]


def test_the_work_for_one_question_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many areas over many buildings have parts without end."""
    monkeypatch.setattr(density, "MOST_PARTS", 8)
    buildings = [building(number, square(10 * number, 0, 5)) for number in range(4)]
    whole = density.squares(100, 100)
    assert [one["buildings"] for one in density.measure(whole * 2, buildings)] == [4, 4]
    with pytest.raises(ValueError, match="more than 8 parts"):
        density.measure(whole * 3, buildings)


def test_a_cell_that_divides_the_map_leaves_no_square_without_area(api: API) -> None:
    joined = api.join(api.running())
    for parts in (1, 3, 7, 14):
        exact = 500 / parts
        for cell in (exact, math.nextafter(exact, 0), math.nextafter(math.nextafter(exact, 0), 0)):
            assert len(density.squares(500, cell)) == parts * parts
    assert len(value(api.get("/api/session/density/", token=joined.token, cell=repr(math.nextafter(500 / 7, 0))))) == 49


def test_too_much_work_is_refused(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = api.join(api.running())
    value(api.fire("BUILDING_PLACE", joined, 0, "house", 1, square(0, 0, 10)))
    monkeypatch.setattr(density, "MOST_PARTS", 1)

    def asked(times: int) -> TestResponse:
        path = f"/api/session/density/?f=JSON&token={joined.token}"
        return api.send("POST", path, json=[square(0, 0, 50)] * times)

    assert len(value(asked(1))) == 1
    refused(asked(2), 400, "INVALID_REQUEST: buildings have more")


def test_areas_are_features_or_outlines() -> None:
    feature = {
        "type": "Feature",
        "id": "old",
        "properties": {"name": "Centre"},
        "geometry": {"type": "Polygon", "coordinates": [square(0, 0, 9)]},
    }
    for written in (
        {"type": "FeatureCollection", "features": [feature, {**feature, "id": None, "properties": None}]},
        [feature, square(0, 0, 9)],
    ):
        first, second = density.read_areas(written, FLAT, "local")
        assert (first.id, first.name, first.outline.area) == ("old", "Centre", 81)
        assert (second.id, second.name) == (1, None)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (None, "send a GeoJSON FeatureCollection"),
        ([], "at least one area"),
        ({"type": "FeatureCollection"}, "send a GeoJSON FeatureCollection"),
        ({"type": "Feature"}, "send a GeoJSON FeatureCollection"),
        ([square(0, 0, 1), [[0, 0]]], "area 1: the outer ring needs"),
        ([None], "area 0: expected a list"),
        ([{"type": "Feature", "geometry": None}], "area 0: expected a list"),
        ([square(0, 0, 1)] * 1001, "more than 1000 areas"),
    ],
)
def test_bad_areas_are_told_what_is_wrong(written: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        density.read_areas(written, FLAT, "local")


def test_areas_in_degrees_need_a_place_and_are_near_it() -> None:
    with pytest.raises(ValueError, match="no place on Earth"):
        density.read_areas([square(0, 0, 1)], FLAT, "wgs84")
    (area,) = density.read_areas([square(4.36, 52.0, 0.001)], DELFT, "wgs84")
    assert area.outline.bounds[:2] == (250, 250)
    assert area.outline.area == pytest.approx(68.7 * 111.3, rel=0.01)
    with pytest.raises(ValueError, match="from -180 to 180"):
        density.read_areas([square(181, 52.0, 0.001)], DELFT, "wgs84")
    with pytest.raises(ValueError, match=r"area 0: (is too far from the map|is not a valid polygon)"):
        density.read_areas([square(-170, -50, 1)], DELFT, "wgs84")


@pytest.mark.parametrize(("lat", "lon"), [(52.0, 4.36), (-33.9, 151.2), (0.0, 0.0), (89.0, 10.0)])
def test_metres_become_degrees_and_back(lat: float, lon: float) -> None:
    place = Place(1000, lat, lon)
    outline = polygons.read(square(0, 0, 1000))
    degrees = place.to_lonlat(outline)
    west, south, east, north = degrees.bounds
    assert west < lon < east and south < lat < north
    assert place.from_lonlat(degrees).equals_exact(outline, 0.01)
    bounds = place.bounds_lonlat()
    assert bounds[0] == pytest.approx(west, abs=1e-3) and bounds[3] == pytest.approx(north, abs=1e-3)


def test_geojson_is_in_degrees_where_the_map_has_a_place() -> None:
    found = formats.to_geojson([building(7, square(250, 250, 10), name="House")], DELFT)
    (feature,) = found["features"]
    assert (found["type"], feature["id"], feature["properties"]["name"]) == ("FeatureCollection", 7, "House")
    assert (feature["geometry"]["type"], feature["geometry"]["coordinates"][0][0]) == ("Polygon", [4.36, 52.0])
    assert "units" not in found and "polygons" not in feature["properties"]


def test_geojson_has_a_multipolygon_where_there_are_several_parts() -> None:
    two = {"type": "MultiPolygon", "coordinates": [[square(0, 0, 10)], [square(20, 0, 10)]]}
    item = {"id": 1, "floors": 1, "polygons": polygons.to_geojson(polygons.read(two))}
    (feature,) = formats.to_geojson([item], FLAT)["features"]
    assert (feature["geometry"]["type"], len(feature["geometry"]["coordinates"])) == ("MultiPolygon", 2)


def test_geojson_says_that_it_is_in_metres() -> None:
    found = formats.to_geojson([building(7, square(250, 250, 10))], FLAT)
    assert found["features"][0]["geometry"]["coordinates"][0][0] == [250, 250]
    assert found["units"].startswith("metres")
    assert formats.to_geojson([], DELFT) == {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_csv_holds_no_formulas(text: str) -> None:
    (_, (shown, *_)) = list(csv.reader(io.StringIO(formats.to_csv([{"name": text}]), newline="")))
    assert shown == f"'{text}"


def test_csv_has_a_line_of_names_and_outlines_as_wkt() -> None:
    items = [{"id": 1, "value": True, "deep": {"a": [1]}, "of": None, "n": -5}, building(2, square(0, 0, 1), name='a "b", c')]
    rows = list(csv.DictReader(io.StringIO(formats.to_csv(items), newline="")))
    assert rows[0] == {"id": "1", "value": "true", "deep": '{"a": [1]}', "of": "", "n": "-5", "floors": "", "polygons": "", "name": ""}
    assert rows[1]["polygons"] == "POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))"
    assert rows[1]["name"] == 'a "b", c'
    assert formats.to_csv([]) == "\r\n"


def test_typed_items_are_wrapped() -> None:
    assert json.dumps(formats.typed("Building", [{"id": 1}])) == '[{"Building": {"id": 1}}]'
