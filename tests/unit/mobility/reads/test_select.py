"""`GET /<cdk_id>/select/<command>`: what belongs to a node."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mobility.conftest import API, STATION, good, point, refused
from tests.unit.mobility.reads.adding import add

STOPS = ("s.a", "s.b", "s.c", "s.d")
LON, LAT = 4.9002776, 52.378887  # of STATION


def line_string(*places: tuple[float, float]) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": [list(place) for place in places]}


def square(west: float, south: float, side: float) -> dict[str, Any]:
    east, north = west + side, south + side
    return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]}


def add_network(api: API) -> None:
    """Four stops; a line a-b-c, a line d-c-b-a-d that goes round, a route c-d, and a node that is in none."""
    for number, stop in enumerate(STOPS):
        add(api, stop, point(5 + number / 100, 52), data={"code": stop}, node_type="ptstop", name=f"Stop {stop[-1]}")
    for cdk_id, kind, members in (("l.abc", "ptline", "abc"), ("l.round", "ptline", "dcbad"), ("r.cd", "route", "cd")):
        add(api, cdk_id, line_string((5, 52), (5.03, 52)), node_type=kind, members=[f"s.{one}" for one in members], data={"line": cdk_id})


def selected(api: API, path: str, **query: Any) -> list[str]:
    node, command = path.split("/")
    return [one["cdk_id"] for one in good(api.get(f"/{node}/select/{command}", **query))["results"]]


def test_routes_are_found_through_at_the_start_and_at_the_end(api: API) -> None:
    add_network(api)
    assert selected(api, "s.c/routes") == ["l.abc", "l.round", "r.cd"]
    assert selected(api, "s.c/routes_start") == ["r.cd"]
    assert selected(api, "s.c/routes_end") == ["l.abc"]
    assert selected(api, "s.d/routes_start") == ["l.round"]
    assert selected(api, "s.d/routes_end") == ["l.round", "r.cd"]
    assert selected(api, "s.c/ptlines") == ["l.abc", "l.round"]
    assert selected(api, f"{STATION}/routes") == []


def test_members_stand_in_their_order_each_as_often_as_it_is_one(api: API) -> None:
    add_network(api)
    assert selected(api, "l.round/nodes") == selected(api, "l.round/ptstops") == ["s.d", "s.c", "s.b", "s.a", "s.d"]
    assert selected(api, "r.cd/nodes") == ["s.c", "s.d"]
    assert selected(api, "l.abc/start_end") == ["s.a", "s.c"]
    assert selected(api, "l.round/start_end") == ["s.d", "s.d"]


def test_routes_that_share_a_member_are_found(api: API) -> None:
    add_network(api)
    add(api, "r.far", line_string((5, 52), (5.03, 52)), node_type="route", members=[STATION, STATION])
    assert selected(api, "l.abc/routes") == ["l.round", "r.cd"]
    assert selected(api, "r.far/routes") == []


def test_regions_are_those_that_meet_the_node_the_smallest_first(api: API) -> None:
    add(api, "admr.country", square(0, 50, 10), layer="admr", data={"admn_level": 0})
    add(api, "admr.city", square(LON - 0.1, LAT - 0.1, 0.2), layer="admr", data={"admn_level": "3"})
    add(api, "admr.odd", square(LON - 0.1, LAT - 0.1, 0.2), layer="admr", data={"admn_level": "high"})
    add(api, "admr.bare", square(LON - 0.1, LAT - 0.1, 0.2), layer="admr")
    add(api, "osm.area", square(LON - 0.1, LAT - 0.1, 0.2))
    ring = [[LON - 1, LAT - 1], [LON + 1, LAT - 1], [LON + 1, LAT - 0.9], [LON - 1, LAT - 1]]
    add(api, "admr.beside", {"type": "Polygon", "coordinates": [ring]}, layer="admr")  # its box does not meet the node
    ring = [[LON - 1, LAT - 1], [LON + 1, LAT - 1], [LON + 1, LAT + 1], [LON - 1, LAT - 1]]
    add(api, "admr.corner", {"type": "Polygon", "coordinates": [[[one + 0.5, two - 0.2] for one, two in ring]]}, layer="admr")
    assert selected(api, f"{STATION}/regions") == ["admr.city", "admr.country", "admr.odd", "admr.bare"]


def test_lists_have_pages_and_filters_as_others(api: API) -> None:
    add_network(api)
    page = good(api.get("/s.c/select/routes", per_page=2, geom=""))
    assert list(page) == ["status", "url", "pages", "per_page", "record_count", "next_page", "results"]
    assert (page["per_page"], page["next_page"], len(page["results"])) == (2, 2, 2)
    assert page["results"][0]["geom"]["type"] == "LineString"
    answer = api.get("/l.round/select/nodes", per_page=2, page=2)
    assert 'page=3>; rel="next"' in answer.headers["Link"]
    page = good(answer)
    assert [page[name] for name in ("pages", "per_page", "record_count", "next_page")] == [3, 2, 5, 3]
    assert [one["cdk_id"] for one in page["results"]] == ["s.b", "s.a"]
    assert "layers" not in page["results"][0]
    assert selected(api, "l.round/nodes", page=9) == []
    assert selected(api, "s.c/routes", **{"osm::line": "r.cd"}) == ["r.cd"]
    assert selected(api, "s.c/routes", starts_in="s.a") == ["l.abc"]
    assert selected(api, "l.round/nodes", name="stop D") == ["s.d", "s.d"]
    assert selected(api, "l.round/nodes", layer="a.rail") == selected(api, "l.round/nodes", layer="no.such") == []
    assert selected(api, "l.round/nodes", lat=52, lon=5.021, per_page=2) == ["s.c", "s.d"]
    [shown] = good(api.get("/l.round/select/nodes", **{"layer": "osm", "osm::code": "s.b"}))["results"]
    assert shown["layers"] == {"osm": {"data": {"code": "s.b"}}}
    found: Any = api.get("/l.abc/select/nodes", format="geojson").json
    assert [one["geometry"]["type"] for one in found["features"]] == ["Point"] * 3


def test_lists_that_the_original_does_not_page_are_whole_and_show_data(api: API) -> None:
    for number in range(12):
        add(api, f"m.{number}", point(5, 52), node_type="ptstop", data={"n": number})
    add(api, "l", line_string((5, 52), (5, 52.1)), node_type="ptline", members=[f"m.{number}" for number in range(12)], data={"k": 1})
    page = good(api.get("/l/select/ptstops"))
    assert (page["per_page"], page["record_count"], page["next_page"], len(page["results"])) == (1000, 12, -1, 12)
    assert page["results"][11]["layers"] == {"osm": {"data": {"n": 11}}}
    assert good(api.get("/m.0/select/ptlines"))["results"][0]["layers"] == {"osm": {"data": {"k": 1}}}
    assert len(selected(api, "l/nodes")) == 10
    assert len(selected(api, "l/ptstops", per_page=5)) == 5


@pytest.mark.parametrize("path", ["s.a/nodes", "r.cd/ptlines", "r.cd/schedule", "s.a/ptstops", f"{STATION}/now", "l.abc/now", "l.abc/x y"])
def test_other_commands_are_not_defined(sqlite_api: API, path: str) -> None:
    if sqlite_api.get("/s.a").status_code == 404:
        add_network(sqlite_api)
    node, command = path.split("/")
    refused(sqlite_api.get(f"/{node}/select/{command}"), 422, f"Command {command} not defined for this node type.")


def test_an_unknown_node_is_not_found(sqlite_api: API) -> None:
    refused(sqlite_api.get("/nope/select/routes"), 404, "Node not found: 'nope'")
