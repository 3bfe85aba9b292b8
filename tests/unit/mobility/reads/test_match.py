"""`POST /util/match`: which nodes a client's own objects are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.mobility.reads.service import match as service
from services.mobility.reads.store import match as store
from tests.unit.mobility.conftest import API, STATION, A, good, point, refused
from tests.unit.mobility.reads.adding import add

PLACE = (4.9002776, 52.378887)  # of STATION, whose name is Amsterdam Centraal
RAILWAY = {"osm": {"railway": "station"}}
METRE = 1 / 111_195  # degrees of latitude


def add_named(api: API, *nodes: tuple[str, str | None, float, dict[str, Any]], layer: str = "osm") -> None:
    """Add nodes: cdk_id, name, metres north of the station, what the layer says."""
    for cdk_id, name, north_m, data in nodes:
        add(api, cdk_id, point(PLACE[0], PLACE[1] + north_m * METRE), layer=layer, data=data, name=name)


def thing(given_id: Any = "ASD", name: str | None = "Amsterdam Centraal", north_m: float = 0, **more: Any) -> dict[str, Any]:
    return {"id": given_id, "name": name, "geom": point(PLACE[0], PLACE[1] + north_m * METRE), "data": {"code": given_id}, **more}


def ask(api: API, nodes: Sequence[Any], *, known: Any = None, by: str | None = A, **params: Any) -> TestResponse:
    params = {"geometry_type": "point", "layers": RAILWAY, **params}
    body = {"match": {"params": params, **({} if known is None else {"known": known})}, "nodes": nodes}
    return api.send("POST", "/util/match", by, json=body)


def found(api: API, nodes: Sequence[Any], **options: Any) -> dict[Any, str]:
    """cdk_ids by the ids of the objects."""
    results = good(ask(api, nodes, **options))["match"]["results"]
    return {one["id"]: one["cdk_id"] for one in results["found"]}


def test_the_station_is_found_and_the_answer_is_the_bulk_calls_body(api: API) -> None:
    unknown = thing("X", "Elsewhere", modalities=["bus"])
    answer = good(ask(api, [thing(north_m=50, modalities=["rail"]), unknown], debug=True, radius="350"))
    assert answer == {
        "status": "success",
        "match": {
            "params": {"geometry_type": "point", "layers": RAILWAY, "debug": True, "radius": 350, "srid": 4326},
            "results": {
                "found": [{"id": "ASD", "cdk_id": STATION}],
                "not_found": [{"id": "X"}],
                "totals": {"found": 1, "not_found": 1},
                "debug": [
                    {
                        "found": True, "id": "ASD", "cdk_id": STATION, "name": "Amsterdam Centraal", "cdk_name": "Amsterdam Centraal",
                        "distance": 50.0, "similarity": 1.0, "score": 0.143,
                    },
                    {"found": False, "id": "X", "name": "Elsewhere"},
                ],
            },
        },
        "nodes": [{"cdk_id": STATION, "data": {"code": "ASD"}, "modalities": ["rail"]}, unknown],
    }  # fmt: skip


def test_only_nodes_of_which_a_layer_says_one_of_the_values_are_found(api: API) -> None:
    add_named(
        api,
        ("n1", "One", 0, {"k": "v", 'odd "key".$[0]': "v"}),
        ("n2", "Two", 0, {"k": 1.5}),
        ("n3", "Three", 0, {"k": True}),
        ("n4", "Four", 0, {"k": None}),
        ("n5", None, 0, {"k": "v"}),
    )
    add_named(api, ("p1", "Poi", 0, {"k": "v"}), layer="b.poi")
    everything = [thing(name, name) for name in ("One", "Two", "Three", "Four", "Poi")]

    def matches(**layers: Any) -> set[str]:
        return set(found(api, everything, layers={name.replace("_", "."): keys for name, keys in layers.items()}))

    assert matches(osm={"k": "v"}) == {"One"}
    assert matches(osm={"k": ["1.5", "nothing"]}) == matches(osm={"k": 1.5}) == {"Two"}
    assert matches(osm={"k": [True, None]}) == matches(osm={"k": ["true", "null"]}) == {"Three", "Four"}
    assert matches(osm={"k": []}) == matches(osm={"k": None}) == {"One", "Two", "Three", "Four"}  # there is the key
    assert matches(osm={'odd "key".$[0]': "v"}, b_poi={"k": "v"}) == {"One", "Poi"}
    assert matches(osm={"railway": "station"}, no_such={"k": "v"}) == matches(no_such={"k": "v"}) == set()


def test_the_radius_ends_the_search(api: API) -> None:
    assert found(api, [thing(north_m=249)]) == {"ASD": STATION}
    assert found(api, [thing(north_m=251)]) == {}
    assert found(api, [thing(north_m=251)], radius=252) == {"ASD": STATION}


def test_a_node_is_matched_once_and_the_others_get_their_next_best(api: API) -> None:
    add_named(api, ("n2", "Amsterdam Centraal 2", 10, {"railway": "station"}))
    assert found(api, [thing("far", north_m=9), thing("near")]) == {"near": STATION, "far": "n2"}
    assert found(api, [thing("far", north_m=9), thing("near")], known={"other": STATION}) == {"far": "n2"}


def test_known_ones_are_not_searched_for(api: API) -> None:
    nodes = [{"id": "K", "name": "Whatever", "data": {"a": 1}}, thing("L")]
    answer = good(ask(api, nodes, known={"K": STATION}, debug=True))
    assert answer["match"]["results"]["debug"][0] == {"found": True, "id": "K", "cdk_id": STATION, "name": "Whatever", "known": True}
    assert answer["nodes"] == [{"cdk_id": STATION, "data": {"a": 1}}, thing("L")]


def test_points_of_other_systems_are_found(api: API) -> None:
    assert found(api, [{**thing(), "geom": point(121_867, 488_085)}], srid=28992) == {"ASD": STATION}


def test_a_circle_with_too_many_nodes_is_halved(sqlite_api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "CIRCLE_MOST", 2)
    add_named(sqlite_api, *((f"h{metres}", f"{metres}" * 5, metres, {"h": 1}) for metres in (5, 60, 70, 80, 90)))
    nodes = [thing("near", "55555"), thing("far", "9090909090")]
    assert found(sqlite_api, nodes, radius=100, layers={"osm": {"h": 1}}) == {"near": "h5"}
    monkeypatch.setattr(service, "CIRCLE_MOST", 5)
    assert found(sqlite_api, nodes, radius=100, layers={"osm": {"h": 1}}) == {"near": "h5", "far": "h90"}
    monkeypatch.setattr(store, "SEARCHED_MOST", 2)  # besides STATION
    assert found(sqlite_api, nodes, radius=100, layers={"osm": {"h": 1}}) == {"near": "h5"}
    monkeypatch.setattr(store, "SEARCHED_MOST", 0)
    refused(ask(sqlite_api, nodes, radius=100, layers={"osm": {"h": 1}}), 422, "More than 5 nodes of these layers are in one place.")


def test_a_search_that_takes_too_long_ends(sqlite_api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(step=14)
    monkeypatch.setattr(sqlite_api.parts.clock, "monotonic", lambda: next(ticks))
    good(ask(sqlite_api, [thing("1"), thing("2")]))
    answer = ask(sqlite_api, [thing(number) for number in range(9)])
    assert answer.status_code == 422
    assert "takes longer than 30 s" in answer.text


def test_a_match_renews_the_session_even_when_it_is_refused(api: API) -> None:
    api.key(A)
    api.clock.move(59)
    key = api.key(A)
    assert api.send("POST", "/util/match", headers={"X-Auth": key}, json={}).status_code == 422
    api.clock.move(59)
    assert api.send("POST", "/util/match", headers={"X-Auth": key}, json={}).status_code == 422
    api.clock.move(60)
    refused(api.send("POST", "/util/match", headers={"X-Auth": key}, json={}), 401, "Not Authorized")


def test_without_a_session_nothing_is_read(sqlite_api: API) -> None:
    refused(sqlite_api.send("POST", "/util/match", data=b"{"), 401, "Not Authorized")


RADIUS = "Wrong value for parameter 'radius': must be integer and larger than 0."


@pytest.mark.parametrize(
    ("nodes", "options", "message"),
    [
        ([{"name": "x"}], {}, "Node without ID encountered in JSON"),
        ([{"id": None}], {}, "Node without ID encountered in JSON"),
        ([7], {}, "Node without ID encountered in JSON"),
        ([{"id": ["x"]}], {}, "Node without ID encountered in JSON"),
        ([thing("A"), thing("A")], {}, 'Duplicate ID encountered in JSON: "A"'),
        ([thing(1), thing("1")], {}, 'Duplicate ID encountered in JSON: "1"'),
        ([thing(name=5)], {}, "The name of the node with id=ASD must be a text."),  # type: ignore[arg-type]
        (None, {}, "No 'nodes' object supplied - nothing to do"),
        ([thing(number) for number in range(1001)], {}, "More than 1000 nodes: match them in several requests."),
        ([], {"known": {"A": "nope", "B": STATION}}, "'known' object specifies cdk_ids that do not exist in CitySDK: nope"),
        ([], {"known": ["nope"]}, "'known' must be an object: cdk_ids by the ids of your nodes."),
        ([], {"known": {"A": 5}}, "'known' must be an object: cdk_ids by the ids of your nodes."),
        ([], {"radius": 0}, RADIUS),
        ([], {"radius": "ten"}, RADIUS),
        ([], {"radius": 1.5}, RADIUS),
        ([], {"radius": True}, RADIUS),
        ([], {"radius": None}, RADIUS),
        ([], {"radius": 5001}, "Wrong value for parameter 'radius': at most 5000 m."),
        ([], {"srid": 0}, "Invalid 'srid' parameter supplied. (0)"),
        ([], {"layers": {}}, "No 'layers' object supplied"),
        ([], {"layers": {"osm": {}}}, "No 'layers' object supplied"),
        ([], {"layers": "osm"}, "No 'layers' object supplied"),
        ([], {"layers": {"osm": "railway"}}, '\'layers\' must be such as {"osm": {"railway": "station"}}.'),
        ([], {"layers": {"osm": {"k": {"a": 1}}}}, "The values of 'osm::k' must be no arrays or objects."),
        ([], {"layers": {"osm": {"k": list(range(501))}}}, "'layers' has more than 500 values."),
        ([], {"geometry_type": "circle"}, "Invalid geometry_type specified: circle. Must be one of point, line, polygon"),
        ([], {"geometry_type": None}, "Invalid geometry_type specified: . Must be one of point, line, polygon"),
        ([], {"geometry_type": ["point"]}, "Invalid geometry_type specified: ['point']. Must be one of point, line, polygon"),
        ([], {"geometry_type": "line"}, "Only points can be matched: geometry_type must be 'point', not 'line'."),
        ([{"id": "A"}], {}, "Parameter 'geom' missing for node with id=A."),
        ([{"id": "A", "geom": {"type": "LineString"}}], {}, 'Geometry encountered that is not a "Point".'),
        ([{"id": "A", "geom": "Point"}], {}, 'Geometry encountered that is not a "Point".'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(sqlite_api: API, nodes: Any, options: dict[str, Any], message: str) -> None:
    refused(ask(sqlite_api, nodes, **options), 422, message)


@pytest.mark.parametrize("body", [{}, {"match": []}, {"match": {"params": None}}, {"match": {"params": [1]}}])
def test_params_are_needed(sqlite_api: API, body: Any) -> None:
    refused(sqlite_api.send("POST", "/util/match", A, json={**body, "nodes": []}), 422, "No 'match/params' object supplied")


def test_as_many_filters_as_allowed_are_asked_for(api: API) -> None:
    add_named(api, ("n1", "One", 0, {"k499": "v"}))
    keys = {f"k{number}": "v" for number in range(500)}
    assert found(api, [thing("One", "One")], layers={"osm": keys}) == {"One": "n1"}
    layers = {f"l{number}": {"k499": "v"} for number in range(499)}
    assert found(api, [thing("One", "One")], layers={**layers, "osm": {"k499": "v"}}) == {"One": "n1"}
