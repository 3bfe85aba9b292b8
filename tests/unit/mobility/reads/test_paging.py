"""Pages of lists."""

from __future__ import annotations

import json
import struct
from typing import Any

from services.mobility.models import Node
from tests.unit.mobility.conftest import API, STATION, good
from tests.unit.mobility.reads.conftest import Data


def numbers(api: API, path: str = "/nodes", **query: Any) -> list[Any]:
    body = good(api.get(path, **query))
    assert list(body) == ["status", "url", "pages", "per_page", "record_count", "next_page", "results"]
    return [len(body["results"]), *(body[name] for name in ("pages", "per_page", "record_count", "next_page"))]


def fill(api: API, many: int) -> None:
    """Let there be so many nodes, with the station."""
    geom = struct.pack("<BIdd", 1, 1, 4, 52)
    place = {"min_lon": 4.0, "min_lat": 52.0, "max_lon": 4.0, "max_lat": 52.0, "geom": geom}
    with api.parts.database.transaction() as session:
        session.add_all(Node(cdk_id=f"x.{number:02}", node_type="node", **place) for number in range(many - 1))


def test_pages_count_nothing_until_the_last(api: API) -> None:
    fill(api, 25)
    assert numbers(api, per_page=10, page=1) == [10, "not counted.", 10, "not counted.", 2]
    assert numbers(api, per_page=10, page=3) == [5, 3, 10, 25, -1]
    assert numbers(api, per_page=10, page=1, count="") == [10, 3, 10, 25, 2]
    assert numbers(api, per_page=10, page=99) == [0, "not counted.", 10, "not counted.", -1]
    assert numbers(api, per_page=10, page=99, count="") == [0, 3, 10, 25, -1]
    assert numbers(api, "/nodes/", per_page=25) == [25, 1, 25, 25, -1]
    read = [one["cdk_id"] for page in (1, 2, 3) for one in good(api.get("/nodes", page=page))["results"]]
    assert read == [STATION, *(f"x.{number:02}" for number in range(24))]  # in the order of creation, none twice


def test_a_full_last_page_is_the_last(api: API) -> None:
    fill(api, 20)
    assert numbers(api, per_page=10, page=2) == [10, 2, 10, 20, -1]
    assert numbers(api, per_page=10, page=3) == [0, 2, 10, 20, -1]
    assert numbers(api, lat=52, lon=4, per_page=10, page=2) == [10, 2, 10, 20, -1]


def test_numbers_of_pages_are_read_leniently(sqlite_api: API) -> None:
    for query in ({"per_page": "abc", "page": "-4"}, {"per_page": "-1", "page": "x"}, {"per_page": "", "page": "0"}, {"page": "1.5"}):
        assert numbers(sqlite_api, **query) == [1, 1, 10, 1, -1]
    assert numbers(sqlite_api, per_page="1000000")[2] == 1000
    assert numbers(sqlite_api, page="9" * 5000)[0] in (0, 1)
    assert numbers(sqlite_api, page="99999999999999999999")[0] == 0


def test_the_next_page_is_linked(api: API) -> None:
    fill(api, 25)
    first = api.send("GET", "/nodes?name=&geom&layer=*&page=1&a=ü%26")
    link = first.headers["Link"]
    assert link.endswith('; rel="next"')
    following = api.send("GET", link[1 : link.index(">")])
    assert good(following)["results"][0]["cdk_id"] == "x.09"
    assert {"geom", "layers"} <= set(good(following)["results"][0])
    assert "Link" not in api.get("/nodes", page=3).headers


def test_a_page_of_geojson(data: Data) -> None:
    data.node("r", "LINESTRING (4 52, 4.5 52.5)", kind="route", name="R", a__rail={"k": 1})
    for query, headers in (({"format": "geojson"}, {}), ({}, {"Accept": "application/geo+json"})):
        answer = data.api.send("GET", "/nodes", query_string={**query, "per_page": 1, "page": 2, "layer": "*"}, headers=headers)
        assert (answer.mimetype, answer.headers["Vary"]) == ("application/geo+json", "Accept")
        assert answer.json == {
            "type": "FeatureCollection",
            "numberReturned": 1,
            "numberMatched": 2,
            "links": [{"rel": "self", "href": answer.request.url, "type": "application/geo+json"}],
            "features": [
                {
                    "type": "Feature",
                    "id": "r",
                    "geometry": {"type": "LineString", "coordinates": [[4, 52], [4.5, 52.5]]},
                    "properties": {
                        "cdk_id": "r",
                        "name": "R",
                        "node_type": "route",
                        "layers": {"a.rail": {"data": {"k": 1}}},
                        "layer": "a.rail",
                    },
                }
            ],
        }
    first = data.api.get("/nodes", per_page=1, format="geojson")
    links: Any = json.loads(first.data)["links"]
    assert [one["rel"] for one in links] == ["self", "next"]
    assert first.headers["Link"] == f'<{links[1]["href"]}>; rel="next"'
    assert data.api.get("/nodes", format="csv").status_code == 422
    assert [data.api.get(path).headers["Vary"] for path in ("/nodes", "/r", "/r/select/nodes")] == ["Accept"] * 3
    one = data.api.get("/r", format="geojson")
    feature: Any = json.loads(one.data)
    assert (one.mimetype, feature["id"], feature["geometry"]["type"]) == ("application/geo+json", "r", "LineString")
