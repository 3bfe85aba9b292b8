"""Routes of bulks: their members, their geometry, their ids."""

from __future__ import annotations

from typing import Any

import pytest

from services.mobility.geometry.geometries import to_geojson
from services.mobility.models import Member, Node
from services.mobility.nodes.rules import routes
from tests.unit.mobility.conftest import API, STATION, good, point, refused

CREATE = {"params": {"create_type": "create"}}


def node(given_id: str, lon: float, lat: float) -> dict[str, Any]:
    return {"id": given_id, "geom": point(lon, lat), "data": {}}


def route(given_id: str | None, *members: str, **more: Any) -> dict[str, Any]:
    return {"id": given_id, "cdk_ids": [one if one == STATION else f"a.rail.{one}" for one in members], "data": {}, **more}


def read(api: API, cdk_id: str) -> tuple[list[str], dict[str, Any], str]:
    """The members of a route, its geometry and its type."""
    with api.parts.database.read() as session:
        found = session.query(Node).filter(Node.cdk_id == cdk_id).one()
        members = session.query(Node.cdk_id).join(Member, Member.node_id == Node.id).filter(Member.route_id == found.id)
        return [one for (one,) in members.order_by(Member.position)], to_geojson(found.geom), found.node_type


def test_members_are_ordered_and_may_be_created_by_the_same_request(api: API) -> None:
    api.bulk("a.rail", [node("old", 4, 52)])
    done = api.bulk("a.rail", [node("before", 5, 52), route("r", "old", "after", "before", "old", name="R"), node("after", 6, 52)])
    assert [one["cdk_id"] for one in done["created"]] == ["a.rail.before", "a.rail.r", "a.rail.after"]
    members, geometry, node_type = read(api, "a.rail.r")
    assert members == ["a.rail.old", "a.rail.after", "a.rail.before", "a.rail.old"]
    assert geometry == {"type": "MultiPoint", "coordinates": [[4, 52], [6, 52], [5, 52]]}
    assert node_type == "route"
    again = api.bulk("a.rail", [route("r", "before", "old")])
    assert again["updated"] == [{"id": "r", "cdk_id": "a.rail.r"}]
    assert read(api, "a.rail.r")[0] == members


def test_routes_through_routes(api: API) -> None:
    given = [route("outer", "inner", "b"), route("inner", "a", "b"), node("a", 4, 52), node("b", 5, 52)]
    assert api.bulk("a.rail", given)["totals"]["created"] == 4
    assert read(api, "a.rail.outer")[:2] == (["a.rail.inner", "a.rail.b"], {"type": "MultiPoint", "coordinates": [[4, 52], [5, 52]]})


def test_a_route_through_itself_is_refused(sqlite_api: API) -> None:
    for given in ([route("r", "r", STATION)], [route("r", STATION, "s"), route("s", "r", STATION)]):
        answer = sqlite_api.put("/nodes/a.rail", {"create": CREATE, "nodes": given})
        assert refused(answer, 422, "The route 'a.rail.r' goes through itself.")["index"] == 0


def test_a_member_that_is_not_there(sqlite_api: API) -> None:
    for given in ([route("r", STATION, "nope")], [route("r", STATION, "skipped"), {"id": "skipped", "data": {}}]):
        answer = sqlite_api.put("/nodes/a.rail", {"create": CREATE, "nodes": given})
        assert refused(answer, 422, f"Nonexistent cdk_id --> {given[0]['cdk_ids'][1]}")["index"] == 0


def test_a_route_is_named_by_its_id_its_name_or_its_members(api: API) -> None:
    given = [route("X 1", STATION, STATION, name="named"), route(None, STATION, STATION, name="Line 2"), route(None, STATION, STATION)]
    done = api.bulk("a.rail", given, create_type="routes")
    assert done["created"][:2] == [{"id": "X 1", "cdk_id": "a.rail.x.1"}, {"cdk_id": "a.rail.line.2"}]
    hashed = done["created"][2]["cdk_id"]
    assert good(api.get(f"/{hashed}"))["results"][0]["name"] == ""
    assert len(hashed) == len("a.rail.") + 22
    assert read(api, hashed)[1] == {"type": "Point", "coordinates": [4.9002776, 52.378887]}
    assert api.bulk("a.rail", given, create_type="routes")["totals"] == {"created": 0, "updated": 3, "skipped": 0}


def test_a_route_may_bring_its_geometry(api: API) -> None:
    line = {"type": "LineString", "coordinates": [[4, 52], [5, 53]]}
    api.bulk("a.rail", [route("r", STATION, STATION, geom=line)], node_type="ptline")
    assert read(api, "a.rail.r")[1:] == (line, "ptline")


LINE = {"type": "LineString", "coordinates": [[4, 52], [5, 53]]}
POLYGON = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 2], [0, 0]]]}


@pytest.mark.parametrize(
    ("members", "kind", "box"),
    [
        ([point(1, 1), LINE, LINE], "LineString", (4, 52, 5, 53)),
        ([point(1, 1), LINE, {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}], "MultiLineString", (0, 0, 5, 53)),
        ([point(4, 52), POLYGON, LINE], "Polygon", (0, 0, 5, 53)),
        ([{"type": "MultiPoint", "coordinates": [[1, 1], [2, 2]]}, point(2, 2)], "MultiPoint", (1, 1, 2, 2)),
    ],
)
def test_the_geometry_of_a_route_follows_from_its_members(
    sqlite_api: API, members: list[Any], kind: str, box: tuple[float, float, float, float]
) -> None:
    name = f"{kind} {len(members)} {box[0]}"
    nodes = [{"id": f"{name} {number}", "geom": geom, "data": {}} for number, geom in enumerate(members)]
    stored = [one["cdk_id"] for one in sqlite_api.bulk("a.rail", nodes)["created"]]
    (made,) = sqlite_api.bulk("a.rail", [{"id": name, "cdk_ids": stored, "data": {}}])["created"]
    assert read(sqlite_api, made["cdk_id"])[1]["type"] == kind
    with sqlite_api.parts.database.read() as session:
        found = session.query(Node).filter(Node.cdk_id == made["cdk_id"]).one()
    assert (found.min_lon, found.min_lat, found.max_lon, found.max_lat) == box


def test_routes_of_great_geometries_are_refused(sqlite_api: API) -> None:
    long = {"type": "LineString", "coordinates": [[n / 1e6, 50] for n in range(20_000)]}
    size = 20_000 * 16
    sqlite_api.bulk("a.rail", [{"id": "long", "geom": long, "data": {}}])
    count = routes.MOST_BYTES // size + 1
    answer = sqlite_api.put("/nodes/a.rail", {"create": CREATE, "nodes": [route(f"big {n}", "long", STATION) for n in range(count)]})
    message = f"The geometries of the routes' members have more than {routes.MOST_BYTES} bytes together. Send fewer routes at a time."
    assert refused(answer, 422, message)["index"] in (count - 2, count - 1)
