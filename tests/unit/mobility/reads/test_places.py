"""Lists by place."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence
from typing import Any

import pytest

from services.mobility.geometry.boxes import METRES_PER_DEGREE
from services.mobility.geometry.distances import metres
from services.mobility.models import Layer, Node, Record
from services.mobility.reads.service import nearest
from services.mobility.reads.store import searching
from tests.unit.mobility.conftest import API, good, refused
from tests.unit.mobility.reads.conftest import Data

SQUARE = "POLYGON ((4 52, 5 52, 5 53, 4 53, 4 52))"


def test_the_nearest_come_first(data: Data) -> None:
    data.node("far", (10.0, 52.0))
    data.node("near", (4.001, 52.0))
    data.node("here.b", (4.0, 52.0))
    data.node("here.a", (4.0, 52.0))
    data.node("around", SQUARE)
    found = good(data.api.get("/nodes", lat=52, lon=4, per_page=4))
    assert [one["cdk_id"] for one in found["results"]] == ["around", "here.a", "here.b", "near"]
    assert [one["distance"] for one in found["results"]] == [0, 0, 0, round(0.001 * METRES_PER_DEGREE * math.cos(math.radians(52)), 2)]
    assert found["next_page"] == 2
    assert data.ids(lat=52, lon=4, per_page=4, page=2)[-1] == "far"
    assert data.ids(y=52, x=4, per_page=1) == ["around"]
    assert good(data.api.get("/nodes", lat=52, lon=4, count="", per_page=2))["record_count"] == 6
    assert data.ids(lat=52, lon=4, radius=60) == ["around", "here.a", "here.b"]
    assert data.ids(lat=52, lon=4, radius=0) == ["around", "here.a", "here.b"]
    assert good(data.api.get("/nodes", lat=52, lon=4, radius=100, count="", per_page=2))["record_count"] == 4
    assert data.ids("/ptstops", lat=52, lon=4) == []


def test_a_place_in_another_system(data: Data) -> None:
    data.node("dam", (4.8932, 52.3731))
    data.node("utrecht", (5.1101, 52.0894))
    assert data.ids(x=121390, y=487370, srid=28992, radius=500) == ["dam"]
    refused(data.api.get("/nodes", x=1, y=1, srid="abc"), 422, "Invalid 'srid' parameter supplied. (abc).")


def test_across_the_date_line(data: Data) -> None:
    data.node("west", (179.999, 10.0))
    data.node("east", (-179.999, 10.0))
    data.node("pole", (20.0, 89.9999))
    assert data.ids(lat=10, lon=179.9995, per_page=2) == ["west", "east"]
    assert data.ids(lat=10, lon=180, radius=500) == ["east", "west"]
    assert data.ids(lat=89.9999, lon=-160, radius=100) == ["pole"]
    assert data.ids(bbox="11,179,9,-179") == ["west", "east"]


def test_boxes_hold_all_of_a_node(data: Data) -> None:
    data.node("corner", (4.0, 52.0))
    data.node("in", (4.3, 52.3))
    data.node("out", (4.6, 52.3))
    data.node("across", "LINESTRING (4.3 52.3, 4.6 52.3)", kind="route")
    assert data.ids(bbox="52.5,4.0,52.0,4.5") == ["corner", "in"]
    assert data.ids(bbox="[52.0,4.0,52.5,4.5]") == ["corner", "in"]  # as the documentation writes it; south before north
    assert data.ids(bbox="52.5,4.0,52.0,4.7", layer="a.rail") == []
    assert data.ids("/routes", bbox="52.5,4.0,52.0,4.7") == ["across"]
    assert data.ids(bbox="52.5,4.0,52.0,4.7", lat=52.3, lon=4.6) == ["across", "out", "in", "corner"]


def test_what_is_in_the_area_of_a_node(data: Data) -> None:
    data.node("area", SQUARE, layer="admr")
    data.node("inside", (4.5, 52.5))
    data.node("outside", (6.0, 52.5))
    data.node("through", "LINESTRING (3 52.5, 6 52.5)", kind="route")
    data.node("neighbour", "POLYGON ((5 52, 6 52, 6 53, 5 53, 5 52))", layer="admr")
    data.node("country", "POLYGON ((3 51, 7 51, 7 54, 3 54, 3 51))", layer="admr")
    data.node("part", "POLYGON ((4.1 52.1, 4.2 52.1, 4.2 52.2, 4.1 52.1))", layer="admr")
    everything = ["n46419880", "inside", "through", "part"]  # not itself, nor what contains it, nor who shares a border
    assert data.ids("/area/nodes") == everything
    assert data.ids("/area/routes") == ["through"]
    assert data.ids("/area/regions/") == ["part"]
    assert data.ids("/area/nodes", per_page=2, page=2) == ["through", "part"]
    assert data.ids("/area/nodes", lat=52.5, lon=4.5, per_page=2) == ["inside", "through"]
    assert data.ids("/area/nodes", bbox="52.6,4.4,52.4,4.6") == ["inside"]
    body = good(data.api.get("/area/nodes", per_page=1, count=""))
    assert (body["record_count"], body["next_page"]) == (4, 2)
    assert good(data.api.get("/area/nodes", per_page=4))["next_page"] == -1
    assert data.ids("/inside/nodes") == []  # what goes through a point contains it
    assert data.ids("/through/nodes") == ["area", "inside", "outside", "neighbour"]  # what is on a line, its end too, and what it crosses
    refused(data.api.get("/nope/nodes"), 404, "Containing node not found: nope")


@pytest.fixture
def scattered(api: API) -> list[tuple[str, tuple[float, float]]]:
    """Nodes in two towns far apart and between them; every tenth has data of a layer."""
    chance = random.Random(1)
    places = [(chance.gauss(4.0, 0.01), chance.gauss(52.0, 0.01)) for _ in range(150)]
    places += [(chance.gauss(150.0, 0.001), chance.gauss(-30.0, 0.001)) for _ in range(150)]
    places += [(chance.uniform(-180, 180), chance.uniform(-90, 90)) for _ in range(100)]
    places += [(4.0, 52.0)] * 50
    named = [(f"x.{number:03}", place) for number, place in enumerate(places)]
    with api.parts.database.transaction() as session:
        layer_id = session.query(Layer.id).where(Layer.name == "a.rail").scalar()
        sides: Any = [{"min_lon": lon, "max_lon": lon, "min_lat": lat, "max_lat": lat} for lon, lat in places]
        nodes = [
            Node(cdk_id=cdk_id, node_type="node", geom=struct.pack("<BIdd", 1, 1, *place), **side)
            for (cdk_id, place), side in zip(named, sides, strict=True)
        ]
        session.add_all(nodes)
        session.flush()
        session.add_all(Record(node_id=node.id, layer_id=layer_id, data={}) for node in nodes[::10])
    return named


FROM = ((4.0, 52.0), (150.0, -30.0), (-179.9, -80.0))


@pytest.mark.parametrize(
    ("database_url", "few", "places"), [("sqlite", 0, FROM), ("sqlite", 5000, FROM), ("postgresql", 0, FROM[:1])], indirect=["database_url"]
)
def test_the_nearest_are_the_nearest_wherever_one_asks(
    api: API,
    scattered: list[tuple[str, tuple[float, float]]],
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    places: Sequence[tuple[float, float]],
) -> None:
    """By windows and by the few of a layer, from among many and from far away: the same as by sorting all."""
    monkeypatch.setattr(searching, "FEW", few)
    monkeypatch.setattr(searching, "MOST_GATHERED", few)
    for name, value in {
        "LOOK": 20,
        "LOOK_ASKED": 40,
        "LOOK_MOST": 80,
        "CELL": 10,
        "AT_HAND": few,
        "RARE": few,
        "_SURE": 0,
        "_CELLS": 30,
    }.items():
        monkeypatch.setattr(nearest, name, value)
    data = Data(api)
    chosen = [("n46419880", (4.9002776, 52.378887)), *scattered]
    for lon, lat in places:
        for wanted, query in ((chosen, {}), (scattered[::10], {"layer": "a.rail"})):
            far = metres(lon, lat, [struct.pack("<BIdd", 1, 1, *place) for _, place in wanted])
            order = [cdk_id for _, cdk_id in sorted(zip(far, (cdk_id for cdk_id, _ in wanted), strict=True))]
            assert data.ids(lat=lat, lon=lon, per_page=30, **query) == order[:30]
            assert data.ids(lat=lat, lon=lon, per_page=20, page=4, **query) == order[60:80]
            assert data.ids(lat=lat, lon=lon, radius=3_000_000, per_page=1000, **query) == [
                cdk_id for distance, cdk_id in sorted(zip(far, (one for one, _ in wanted), strict=True)) if distance <= 3_000_000
            ]
