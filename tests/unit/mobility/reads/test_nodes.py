"""One node, a layer's data, a key."""

from __future__ import annotations

import json

from tests.unit.mobility.conftest import API, STATION, good, refused
from tests.unit.mobility.reads.conftest import Data


def test_a_node_shows_data_only_of_the_layers_that_are_asked_for(data: Data) -> None:
    data.node("x", name="X", a__rail={"k": "v"}, b__poi={"p": 1})
    bare = {"cdk_id": "x", "name": "X", "node_type": "node", "layer": "a.rail"}
    assert good(data.api.get("/x"))["results"] == [bare]
    assert good(data.api.get("/x/"))["results"] == [bare]
    for layer, shown in (
        ("*", {"a.rail": {"data": {"k": "v"}}, "b.poi": {"data": {"p": 1}}}),
        ("a.rail", {"a.rail": {"data": {"k": "v"}}}),
        ("b.*", {"b.poi": {"data": {"p": 1}}}),
        ("osm|b.poi", {"b.poi": {"data": {"p": 1}}}),
        ("no.such", {}),
    ):
        assert good(data.api.get("/x", layer=layer))["results"] == [{**bare, "layers": shown}]
    assert good(data.api.get("/x", geom=""))["results"][0]["geom"] == {"type": "Point", "coordinates": [4.0, 52.0]}
    refused(data.api.get("/nope"), 404, "Node not found: 'nope'")
    assert data.api.get("/x", layer="a.rail|osm,gtfs").status_code == 422
    assert data.api.get("/x", layer=",".join(f"l{number}" for number in range(51))).status_code == 422  # each is looked up


def test_what_a_layer_says(data: Data) -> None:
    data.node("x", a__rail={"naam": "Zürich", "nul": None})
    api = data.api
    found = api.get("/x/a.rail")
    assert good(found)["results"] == [{"a.rail": {"data": {"naam": "Zürich", "nul": None}}}]
    assert good(api.get("/x/b.poi"))["results"] == []
    assert "ETag" not in api.get("/x/b.poi").headers
    refused(api.get("/nope/a.rail"), 404, "Node not found: 'nope'")
    refused(api.get("/x/no.such"), 404, "Layer not found: 'no.such'")
    refused(api.get("/x/a.*"), 404, "Layer not found: 'a.*'")
    assert good(api.get("/x/a.rail/naam"))["results"] == {"naam": "Zürich"}
    assert good(api.get("/x/a.rail/nokey"))["results"] == {"nokey": None}
    refused(api.get("/x/b.poi/naam"), 404, "No b.poi layer data for node 'x'")


def test_data_that_has_not_changed_is_not_sent_again(api: API) -> None:
    first = api.get(f"/{STATION}/osm")
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    for shown in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        same = api.send("GET", f"/{STATION}/osm", headers={"If-None-Match": shown})
        assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", tag)
    assert api.send("GET", f"/{STATION}/osm", headers={"If-None-Match": '"other"'}).status_code == 200


def test_every_parameter_is_described(sqlite_api: API) -> None:
    document = json.loads(sqlite_api.get("/openapi.json").text)
    names = {one["name"] for one in document["paths"]["/nodes"]["get"]["parameters"]}
    place = {"lat", "lon", "x", "y", "srid", "radius", "bbox"}
    routes = {"starts_in", "ends_in", "contains", "modality"}
    assert names >= {"page", "per_page", "count", "geom", "format", "name", "trigrams", "layer", "data_op", *place, *routes}
    assert all(one["description"] for one in document["paths"]["/{cdk_id}/routes"]["get"]["parameters"] if one["in"] == "query")
