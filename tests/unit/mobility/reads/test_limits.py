"""What lists refuse, and what they cost at most."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from services.mobility.reads.service.lists import Lists
from services.mobility.reads.store import nodes
from tests.unit.mobility.conftest import API, good, refused
from tests.unit.mobility.reads.conftest import Data


@pytest.mark.parametrize(
    "query",
    [
        {"lat": "52');DROP TABLE nodes;--", "lon": "4"},
        {"lat": "52", "lon": "4x"},
        {"lat": "nan", "lon": "4"},
        {"lat": "inf", "lon": "4"},
        {"lat": "1e999", "lon": "4"},
        {"lat": "５", "lon": "4"},
        {"lat": "1_0", "lon": "4"},
        {"lat": "", "lon": ""},
        {"lat": "52"},
        {"lon": "4"},
        {"x": "4"},
        {"lat": "91", "lon": "4"},
        {"lat": "52", "lon": "181"},
        {"lat": "52", "lon": "4", "radius": "-1"},
        {"lat": "52", "lon": "4", "radius": "far"},
        {"lat": "52", "lon": "4", "srid": "0"},
        {"lat": "52", "lon": "4", "srid": "4326; DROP"},
        {"radius": "500"},
        {"bbox": ""},
        {"bbox": "1,2,3"},
        {"bbox": "1,2,3,4,5"},
        {"bbox": "1,2,3,x"},
        {"bbox": "91,0,0,1"},
        {"bbox": "nan,nan,nan,nan"},
        {"name": "x" * 256},
        {"layer": ",".join(f"l{number}" for number in range(51))},
        {"a::b": ",".join("x" * 51)},
        {"contains": ",".join(["n46419880"] * 11)},
        {"::x": "1"},
    ],
)
def test_parameters_that_make_no_sense(sqlite_api: API, query: dict[str, str]) -> None:
    answer = sqlite_api.get("/nodes", **query)
    assert answer.status_code == 422
    assert answer.json is not None and answer.json["status"] == "fail" and answer.json["message"]
    assert good(sqlite_api.get("/nodes"))["results"]


def test_a_query_that_takes_too_long_is_refused(api: API) -> None:
    many = """WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 10000)
        INSERT INTO nodes (cdk_id, name, node_type, min_lon, min_lat, max_lon, max_lat, geom)
        SELECT 'x.' || n, n, 'node', 4, 52, 4, 52, geom FROM count, (SELECT geom FROM nodes) place"""
    with api.parts.database.transaction() as session:
        session.execute(sa.text(many))
    usual, api.parts.lists = api.parts.lists, Lists(api.parts.database, deadline_s=0.001)
    slow = {"name": "nobody is called so and nobody will be", "count": ""}
    message = "The query takes longer than 0.001 s. Ask for less: a smaller radius or box, a layer, fewer pages, no count."
    refused(api.get("/nodes", **slow), 422, message)
    api.parts.lists = usual
    assert good(api.get("/nodes", **slow))["record_count"] == 0  # the limit was that query's alone


def test_results_in_order_of_distance_end_somewhere(sqlite_api: API) -> None:
    answer = sqlite_api.get("/nodes", lat=52, lon=4, page=51, per_page=1000)
    assert answer.status_code == 422
    assert good(sqlite_api.get("/nodes", page=10**9, per_page=1000))["results"] == []


def test_a_page_has_only_so_much(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand nodes may have ten megabytes each; one alone is always shown."""
    monkeypatch.setattr(nodes, "GEOMETRIES_MOST", 62)
    monkeypatch.setattr(nodes, "RECORDS_MOST", 9)
    for name in ("x", "y"):
        data.node(name, a__rail={"text": "12345"})
    api = data.api
    assert len(data.ids("/nodes")) == 3
    asked = "The {0} of the nodes on this page are too large: ask for a smaller per_page, or without {0}."
    refused(api.get("/nodes", geom=""), 422, asked.format("geometries"))
    refused(api.get("/nodes", format="geojson"), 422, asked.format("geometries"))
    refused(api.get("/nodes", layer="a.rail"), 422, asked.format("data"))
    assert len(data.ids("/nodes", geom="", per_page=2)) == 2
    assert len(data.ids("/nodes", layer="a.rail", per_page=1)) == 1
    monkeypatch.setattr(nodes, "GEOMETRIES_MOST", 1)
    monkeypatch.setattr(nodes, "RECORDS_MOST", 1)
    assert data.ids("/x", geom="", layer="*") == ["x"]
