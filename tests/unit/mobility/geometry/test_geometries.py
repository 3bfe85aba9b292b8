"""Geometries that clients send: what is kept, and how wrong ones are refused. shapely says what is right; the code works without it."""

from __future__ import annotations

import json
import math
import random
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyproj
import pytest
import shapely

from services.common.refusal import Refusal
from services.mobility.geometry import geometries
from services.mobility.geometry.boxes import Box

RING = [[4.0, 52.0], [5.0, 52.0], [5.0, 53.0], [4.0, 52.0]]
HOLE = [[4.5, 52.1], [4.6, 52.1], [4.6, 52.2], [4.5, 52.1]]
GOOD: list[dict[str, Any]] = [
    {"type": "Point", "coordinates": [4.9002776, 52.378887]},
    {"type": "LineString", "coordinates": [[4.0, 52.0], [5.5, -53.25]]},
    {"type": "Polygon", "coordinates": [RING, HOLE]},
    {"type": "MultiPoint", "coordinates": [[-180.0, -90.0], [180.0, 90.0]]},
    {"type": "MultiLineString", "coordinates": [[[4.0, 52.0], [5.0, 53.0]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]},
    {"type": "MultiPolygon", "coordinates": [[RING, HOLE], [RING]]},
]
TEXT = "Invalid GeoJSON geometry encountered"


def message(given: Any, srid: int = 4326) -> str:
    with pytest.raises(Refusal) as caught:
        geometries.read(given, srid)
    assert caught.value.status == 422
    return caught.value.message


def wkb(text: str) -> dict[str, str]:
    return {"type": "wkb", "wkb": text}


@pytest.mark.parametrize("given", GOOD, ids=lambda given: str(given["type"]))
def test_what_is_kept_is_what_was_sent(given: dict[str, Any]) -> None:
    kept = geometries.read(given)
    shape = shapely.from_wkb(kept.wkb)
    assert json.loads(shapely.to_geojson(shape)) == given
    assert kept.wkb == shapely.to_wkb(shape, byte_order=1)
    assert kept.box == Box(*shapely.bounds(shape).tolist())
    assert geometries.to_geojson(kept.wkb) == given


@pytest.mark.parametrize("given", GOOD, ids=lambda given: str(given["type"]))
@pytest.mark.parametrize("flavor", ["iso", "extended"])
@pytest.mark.parametrize("order", [0, 1])
def test_wkb_says_the_same(given: dict[str, Any], flavor: str, order: int) -> None:
    shape = shapely.from_geojson(json.dumps(given))
    for same in (shape, shapely.force_3d(shape, 7.0)):
        text = shapely.to_wkb(same, hex=True, byte_order=order, flavor=flavor)
        assert geometries.read(wkb(text)) == geometries.read(given)
        assert geometries.read(wkb(text.lower())) == geometries.read(given)


def test_measures_are_dropped() -> None:
    for kind, values in ((2001, (1.0, 2.0, 9.0)), (3001, (1.0, 2.0, 8.0, 9.0)), (0x40000001, (1.0, 2.0, 9.0))):
        text = struct.pack(f"<BI{len(values)}d", 1, kind, *values).hex()
        assert geometries.to_geojson(geometries.read(wkb(text)).wkb) == {"type": "Point", "coordinates": [1, 2]}


def test_heights_are_dropped() -> None:
    assert geometries.read({"type": "Point", "coordinates": [4, 52, 3.5]}) == geometries.read({"type": "Point", "coordinates": [4, 52]})
    high = {"type": "Polygon", "coordinates": [[[*position, height] for height, position in enumerate(RING)]]}
    assert geometries.read(high) == geometries.read({"type": "Polygon", "coordinates": [RING]})


def test_a_collection_of_a_route_can_be_shown() -> None:
    found = shapely.from_wkt("GEOMETRYCOLLECTION (POINT (1 2), MULTILINESTRING ((3 4, 5 6)))")
    assert geometries.to_geojson(shapely.to_wkb(found, byte_order=1)) == json.loads(shapely.to_geojson(found))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "it is not an object"),
        ([4, 52], "it is not an object"),
        ({}, "'type' is null, not one of Point, LineString, Polygon, MultiPoint, MultiLineString, MultiPolygon"),
        ({"type": "point", "coordinates": [4, 52]}, "'type' is 'point', not one of"),
        ({"type": ["Point"], "coordinates": [4, 52]}, "'type' is an array of 1, not one of"),
        ({"type": "Feature", "geometry": GOOD[0]}, "'type' is 'Feature', not one of"),
        ({"type": "Point"}, "'coordinates' hold null where an array is needed"),
        ({"type": "Point", "coordinates": []}, "a position is an array of 0, not an array of 2 or 3 numbers"),
        ({"type": "Point", "coordinates": [4]}, "a position is an array of 1, not"),
        ({"type": "Point", "coordinates": [4, 52, 0, 0]}, "a position is an array of 4, not"),
        ({"type": "Point", "coordinates": ["4", 52]}, "a coordinate is '4', not a number"),
        ({"type": "Point", "coordinates": [True, 52]}, "a coordinate is true, not a number"),
        ({"type": "Point", "coordinates": [4, None]}, "a coordinate is null, not a number"),
        ({"type": "Point", "coordinates": [4, 52, "up"]}, "a coordinate is 'up', not a number"),
        ({"type": "Point", "coordinates": [[4, 52]]}, "a position is an array of 1, not"),
        ({"type": "Point", "coordinates": [math.nan, 52]}, "a coordinate is not a finite number"),
        ({"type": "Point", "coordinates": [4, math.inf]}, "a coordinate is not a finite number"),
        ({"type": "Point", "coordinates": [10**400, 52]}, "a coordinate is too large"),
        ({"type": "Point", "coordinates": [180.5, 52]}, "longitude 180.5 is not between -180 and 180"),
        ({"type": "Point", "coordinates": [180.00000001, 52]}, "longitude 180.00000001 is not between -180 and 180"),
        ({"type": "Point", "coordinates": [52, -90.5]}, "latitude -90.5 is not between -90 and 90"),
        ({"type": "LineString", "coordinates": []}, "it is empty"),
        ({"type": "LineString", "coordinates": [[4, 52]]}, "a line has at least 2 positions"),
        ({"type": "LineString", "coordinates": [4, 52]}, "a position is 4, not an array of 2 or 3 numbers"),
        ({"type": "LineString", "coordinates": {"0": [4, 52]}}, "'coordinates' hold an object where an array is needed"),
        ({"type": "LineString", "coordinates": [[4, 52], [4, 91]]}, "latitude 91.0 is not"),
        ({"type": "Polygon", "coordinates": []}, "it is empty"),
        ({"type": "Polygon", "coordinates": [[]]}, "it is empty"),
        ({"type": "Polygon", "coordinates": [RING[:3]]}, "a ring has at least 4 positions"),
        ({"type": "Polygon", "coordinates": [RING, [*HOLE[:3], [0, 0]]]}, "a ring is not closed"),
        ({"type": "Polygon", "coordinates": RING}, "a position is 4.0, not"),
        ({"type": "MultiPoint", "coordinates": []}, "it is empty"),
        ({"type": "MultiPoint", "coordinates": [4, 52]}, "a position is 4, not"),
        ({"type": "MultiPolygon", "coordinates": [[RING], []]}, "it is empty"),
        ({"type": "MultiPolygon", "coordinates": [RING]}, "a position is 4.0, not"),
        ({"type": "LineString", "coordinates": [[4, 52]] * 100_001}, "it has more than 100,000 positions"),
        ({"type": "MultiPoint", "coordinates": [[4, 52]] * 100_001}, "it has more than 100,000 positions"),
        (wkb("zz"), "'wkb' is not a text of hexadecimal digits"),
        ({"type": "wkb", "wkb": 7}, "'wkb' is not a text of hexadecimal digits"),
        (wkb(""), "the WKB ends too early"),
        (wkb("0101000000"), "the WKB ends too early"),
        (wkb("02" + "01000000" + "00" * 16), "its byte order is neither 0 nor 1"),
        (wkb("01" + "08000000" + "00" * 16), "its WKB type 8 is not one of"),
        (wkb("01" + "01000000" + "00" * 17), "bytes follow the WKB's end"),
        (wkb("01" + "01000000" + "000000000000f87f" * 2), "a coordinate is not a finite number"),
        (wkb("01" + "02000000" + "00000000"), "it is empty"),
        (wkb("01" + "03000000" + "02000000" + "00000000" + "ffffffff"), "it is empty"),  # said at once: there may be millions of them
        (wkb("01" + "06000000" + "01000000" + "01" + "03000000" + "00000000"), "it is empty"),
        (wkb("01" + "04000000" + "00000000"), "it is empty"),
        (wkb("01" + "02000000" + "ffffffff"), "the WKB ends too early"),
        (wkb("01" + "02000000" + struct.pack("<I", 100_001).hex() + "00" * 1_600_016), "it has more than 100,000 positions"),
        (wkb("01" + "03000000" + "ffffffff"), "the WKB ends too early"),
        (wkb("01" + "06000000" + "ffffffff"), "the WKB ends too early"),
        (wkb("01" + "04000000" + "01000000" + "01" + "02000000" + "00000000"), "a MultiPoint holds something other than Points"),
    ],
)
def test_a_wrong_geometry_is_refused_and_the_reason_named(given: Any, reason: str) -> None:
    assert message(given).startswith(f"{TEXT}: {reason}")


def test_collections_are_refused() -> None:
    text = "GeoJSON GeometryCollections are not allowed as object geometry"
    assert message({"type": "GeometryCollection", "geometries": [GOOD[0]]}) == text
    assert message(wkb("01" + "07000000" + "00000000")) == text
    assert message(wkb("01" + "04000000" + "01000000" + "01" + "07000000" + "00000000")) == text


def test_a_long_mistake_is_not_repeated_at_length() -> None:
    assert len(message({"type": "x" * 1_000_000})) < 300
    assert len(message({"type": "Point", "coordinates": ["x" * 1_000_000, 0]})) < 300


def test_other_systems_are_re_projected() -> None:
    kept = geometries.read({"type": "Point", "coordinates": [121687, 487484]}, 28992)
    assert (round(kept.box.west, 3), round(kept.box.south, 3)) == (4.898, 52.374)
    assert geometries.read({"type": "LineString", "coordinates": [[121687, 487484], [121687, 487484]]}, 28992).box == kept.box
    web = geometries.read({"type": "Point", "coordinates": [math.radians(4.9) * 6378137, 0]}, 3857)
    assert web.box.west == pytest.approx(4.9)
    assert web.box.south == pytest.approx(0)
    london = geometries.read({"type": "Point", "coordinates": [530000, 180000]}, 27700)
    assert (round(london.box.west, 2), round(london.box.south, 2)) == (-0.13, 51.50)


def test_what_arithmetic_moves_over_the_date_line_is_brought_back() -> None:
    edge = pyproj.Transformer.from_crs(4326, 32601, always_xy=True).transform([-180.0, 180.0] * 40, [n + n / 7 for n in range(-40, 40)])
    for x, y in zip(*edge, strict=True):
        assert abs(geometries.read({"type": "Point", "coordinates": [x, y]}, 32601).box.west) == pytest.approx(180)


def test_systems_serve_many_threads() -> None:
    places = [{"type": "Point", "coordinates": [x, 480000]} for x in range(100000, 200000, 1000)]
    alone = geometries.read_all(places, 28992)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: geometries.read_all(places, 28992) == alone, range(12))) == [True] * 12


def test_a_wkb_may_name_its_own_system() -> None:
    shape = shapely.set_srid(shapely.Point(121687, 487484), 28992)
    text = shapely.to_wkb(shape, hex=True, include_srid=True)
    plain = {"type": "Point", "coordinates": [121687, 487484]}
    assert geometries.read(wkb(text)) == geometries.read(plain, 28992)
    assert geometries.read(wkb(text), 3857) == geometries.read(plain, 28992)
    assert geometries.read(wkb(shapely.to_wkb(shape, hex=True)), 28992) == geometries.read(plain, 28992)
    unknown = shapely.to_wkb(shapely.set_srid(shape, 999_999), hex=True, include_srid=True)
    assert message(wkb(unknown)) == "Invalid 'srid' parameter supplied. (999999)."
    with pytest.raises(Refusal) as caught:
        geometries.read_all([GOOD[0], wkb(unknown)], indexes=[4, 7])
    assert caught.value.fields == {"index": 7}


def test_one_request_does_not_make_the_service_prepare_many_systems() -> None:
    zones = [wkb(shapely.to_wkb(shapely.set_srid(shapely.Point(500000, 0), 32601 + n), hex=True, include_srid=True)) for n in range(9)]
    assert len(geometries.read_all(zones[:8])) == 8
    with pytest.raises(Refusal, match="more than 8 coordinate systems"):
        geometries.read_all(zones)


@pytest.mark.parametrize(
    ("coordinates", "srid"),
    [
        ([1e9, 0], 3857),
        ([1e300, 1e300], 28992),
        ([math.nan, 0], 3857),
        ([10**400, 0], 3857),
        ([-(10**400), 0], 28992),
        ([361, 0], 4258),
    ],
)
def test_what_has_no_place_on_the_earth_is_refused(coordinates: list[float], srid: int) -> None:
    text = message({"type": "Point", "coordinates": coordinates}, srid)
    assert text == f"{TEXT}: a coordinate is not a finite number, or has no place in EPSG:4326"
    assert message({"type": "MultiPoint", "coordinates": [coordinates]}, srid).startswith(TEXT)


@pytest.mark.parametrize("srid", [4326, 28992])
def test_many_are_read_as_one_is(srid: int) -> None:
    places = [one for one in GOOD if srid == 4326] or [
        {"type": "Point", "coordinates": [121687, 487484]},
        {"type": "LineString", "coordinates": [[121687, 487484], [130000, 480000.5]]},
        {"type": "Point", "coordinates": [130000.25, 480000]},
    ]
    assert geometries.read_all(places, srid) == [geometries.read(one, srid) for one in places]
    assert geometries.read_all([], srid) == []


@pytest.mark.parametrize("wrong", [{"type": "Point", "coordinates": [4, 9e9]}, {"type": "MultiPoint", "coordinates": [[4, 9e9]]}, None])
@pytest.mark.parametrize("srid", [4326, 28992])
def test_a_wrong_one_among_many_is_named(wrong: Any, srid: int) -> None:
    given = [GOOD[0], wrong, GOOD[0]]
    for indexes, place in ((None, 1), ([10, 20, 30], 20)):
        with pytest.raises(Refusal) as caught:
            geometries.read_all(given, srid, indexes)
        assert caught.value.fields == {"index": place}
    with pytest.raises(Refusal) as caught:
        geometries.read(wrong, srid)
    assert caught.value.fields is None


def test_no_input_brings_another_error() -> None:
    """Mutations of good WKB and GeoJSON are refused, or kept as what shapely and the output agree on."""
    chance = random.Random(4)
    shapes = [shapely.from_geojson(json.dumps(one)) for one in GOOD]
    binary = [shapely.to_wkb(one, flavor=flavor, byte_order=order) for one in shapes for flavor in ("iso", "extended") for order in (0, 1)]
    odd: list[Any] = [0, -1, 7.5, 1e308, 2**70, None, True, "x", [], [[]], {}, [1, 2], [[[[[1, 2]]]]]]
    kept = 0
    for _ in range(3000):
        data = bytearray(chance.choice(binary))
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(min(len(data), 60))] = chance.choice((0, 1, 2, 3, 7, 0x20, 0x40, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        kept += _survives(wkb(data[: chance.randint(1, len(data))].hex() if chance.random() < 0.2 else data.hex()))
        kept += _survives(_mutated(json.loads(json.dumps(chance.choice(GOOD))), odd, chance))
    assert kept > 100


def _mutated(given: Any, odd: list[Any], chance: random.Random) -> Any:
    inner = given
    while isinstance(inner, (dict, list)) and inner and chance.random() < 0.8:
        key = chance.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        if chance.random() < 0.3:
            inner[key] = chance.choice(odd)
        inner = inner[key]
    return given


def _survives(given: Any) -> bool:
    try:
        found = geometries.read(given)
    except Refusal:
        return False
    shape = shapely.from_wkb(found.wkb)
    corners = shapely.get_coordinates(shape)
    assert found.box == Box(*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
    assert json.loads(shapely.to_geojson(shape)) == geometries.to_geojson(found.wkb)
    return True


def test_the_usual_system_needs_no_library_of_systems() -> None:
    code = "import sys; from services.mobility.geometry import geometries as g; g.read({'type': 'Point', 'coordinates': [4, 52]})"
    check = "; print(sorted({'pyproj', 'shapely'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
