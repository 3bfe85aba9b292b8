"""The whole service by its cases, in the order of a client's day: session, merge, bulk, delete, read. What stands here stands for more,
which the tests beside it know one by one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.unit.mobility.conftest import API, STATION, A, B, good, insist, point, refused

SAMPLE = {  # of the original's documentation
    "create": {"params": {"create_type": "create", "srid": 4326}},
    "nodes": [
        {
            "id": "ASD",
            "name": "Amsterdam Centraal",
            "modalities": ["rail"],
            "geom": point(4.9002776, 52.378887),
            "data": {"naam_lang": "Amsterdam Centraal", "code": "ASD"},
        },
        {"cdk_id": STATION, "modalities": ["rail"], "data": {"naam_lang": "Amsterdam Centraal", "code": "ASD"}},
    ],
}


def record(api: API, cdk_id: str, layer: str) -> Any:
    """What a layer says of a node; None when it says nothing."""
    found = good(api.get(f"/{cdk_id}/{layer}"))["results"]
    return found[0][layer] if found else None


def test_a_password_gives_a_key(sqlite_api: API) -> None:
    refused(sqlite_api.login(A, "wrong"), 401, "Not Authorized")
    refused(sqlite_api.login("nobody"), 401, "Not Authorized")
    key = sqlite_api.key(A)
    assert len(key) >= 32
    refused(sqlite_api.login(A), 409, "session busy")
    refused(sqlite_api.login(A, "wrong"), 401, "Not Authorized")


def test_only_the_owner_writes(sqlite_api: API) -> None:
    body = {"data": {"k": "v"}}
    refused(sqlite_api.put(f"/{STATION}/a.rail", body, None), 401, "Not Authorized")
    refused(sqlite_api.put(f"/{STATION}/a.rail", body, None, headers={"X-Auth": ""}), 401, "Not Authorized")
    refused(sqlite_api.put(f"/{STATION}/b.poi", body), 403, "Not authorized for layer 'b.poi'.")
    refused(sqlite_api.put(f"/{STATION}/no.such", body), 404, "Invalid layer spec: no.such")
    refused(sqlite_api.put("/nope/a.rail", {"data": {}}), 404, "Node 'nope' not found.")
    assert record(sqlite_api, STATION, "b.poi") is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"modalities": ["rail"]}, "No 'data' found in post."),
        ({"data": {"x": {"y": 1}}}, "'data' object in POST data cannot contain arrays or objects"),
        (
            {"data": {}, "modalities": ["hovercraft"]},
            f'Incorrect modality encountered in object with cdk_id={STATION}: "hovercraft"',
        ),
    ],
)
def test_a_wrong_body_is_refused(sqlite_api: API, body: object, message: str) -> None:
    refused(sqlite_api.put(f"/{STATION}/a.rail", body), 422, message)
    assert record(sqlite_api, STATION, "a.rail") is None


def test_a_list_is_no_body(sqlite_api: API) -> None:
    answer = sqlite_api.put(f"/{STATION}/a.rail", [1, 2])
    assert (answer.status_code, (answer.json or {})["status"]) == (422, "fail")


def test_a_merge_keeps_what_it_does_not_name(api: API) -> None:
    path = f"/{STATION}/a.rail"
    good(api.put(path, {"data": {"a": "1", "b": "2"}, "modalities": ["rail"]}))
    good(api.put(path, {"data": {"b": "3", "c": "4"}, "modalities": ["bus", "rail"]}))
    found = record(api, STATION, "a.rail")
    assert found["data"] == {"a": "1", "b": "3", "c": "4"}
    assert sorted(found["modalities"]) == ["bus", "rail"]
    assert good(api.get(f"{path}/nokey"))["results"] == {"nokey": None}


def test_the_sample_twice_makes_one_node(api: API) -> None:
    results = good(api.put("/nodes/a.rail", SAMPLE))["create"]["results"]
    assert results["created"] == [{"id": "ASD", "cdk_id": "a.rail.asd"}]
    assert results["updated"] == [{"cdk_id": STATION}]
    assert (results["totals"]["created"], results["totals"]["updated"]) == (1, 1)
    results = good(api.put("/nodes/a.rail", SAMPLE))["create"]["results"]
    assert (results["created"], results["totals"]["created"], results["totals"]["updated"]) == ([], 0, 2)
    assert good(api.get("/nodes", count="", layer="a.rail"))["record_count"] == 2


def test_a_bulk_without_parameters_updates(api: API) -> None:
    good(api.put("/nodes/a.rail", {"nodes": [{"cdk_id": STATION, "data": {"k": 1}}]}))
    assert record(api, STATION, "a.rail")["data"] == {"k": 1}


def test_what_is_skipped_is_listed(api: API) -> None:
    nodes = [
        {"id": "one", "geom": point(1, 1), "data": {}},
        {"id": "two", "geom": point(1, 1)},
        {"id": "three", "geom": point(1, 1), "data": {}},
    ]
    results = api.bulk("a.rail", nodes)
    assert (results["totals"]["created"], [one["index"] for one in results["skipped"]]) == (2, [1])


@pytest.mark.parametrize(
    ("nodes", "status", "message"),
    [
        ([{"cdk_id": "nope", "data": {}}], 404, "Node 'nope' not found."),
        (
            [{"id": "A-B", "geom": point(1, 1), "data": {}}, {"id": "a.b", "geom": point(1, 1), "data": {}}],
            422,
            "cdk_id must be unique: 'a.rail.a.b'",
        ),
        ([{"cdk_id": STATION, "cdk_ids": [STATION], "data": {}}], 422, "Node with both cdk_id and cdk_ids fields encountered."),
        ([{"cdk_ids": [STATION, "X"], "id": "r", "data": {}}], 422, "Nonexistent cdk_id --> X"),
    ],
)
def test_one_wrong_node_refuses_all(sqlite_api: API, nodes: list[Any], status: int, message: str) -> None:
    before = good(sqlite_api.get("/nodes", count=""))["record_count"]
    body = {"create": {"params": {"create_type": "create"}}, "nodes": [{"id": "good", "geom": point(1, 1), "data": {}}, *nodes]}
    refused(sqlite_api.put("/nodes/a.rail", body), status, message)
    assert good(sqlite_api.get("/nodes", count=""))["record_count"] == before


def test_an_id_of_no_letters_is_refused(sqlite_api: API) -> None:
    body = {"create": {"params": {"create_type": "create"}}, "nodes": [{"id": "!!!", "geom": point(1, 1), "data": {}}]}
    assert sqlite_api.put("/nodes/a.rail", body).status_code == 422


def test_coordinates_of_another_system_are_projected(api: API) -> None:
    api.bulk("a.rail", [{"id": "rd", "geom": point(121687, 487484), "data": {}}], srid=28992)
    lon, lat = good(api.get("/a.rail.rd", geom=""))["results"][0]["geom"]["coordinates"]
    assert (lon, lat) == (pytest.approx(4.898, abs=0.01), pytest.approx(52.374, abs=0.01))


def test_a_node_goes_with_its_last_data(api: API) -> None:
    api.bulk("a.rail", [{"id": "both", "geom": point(1, 1), "data": {}}, {"id": "own", "geom": point(1, 1), "data": {}}])
    good(api.put("/a.rail.both/b.poi", {"data": {"k": 1}}, B))
    good(api.put(f"/{STATION}/a.rail", {"data": {"k": 1}}))
    for cdk_id in ("a.rail.both", "a.rail.own", STATION):
        good(api.delete(f"/{cdk_id}/a.rail", query_string={"delete_node": "true"}))
    assert record(api, "a.rail.both", "b.poi")["data"] == {"k": 1}
    assert record(api, "a.rail.both", "a.rail") is None
    refused(api.get("/a.rail.own"), 404, "Node not found: 'a.rail.own'")
    assert good(api.get(f"/{STATION}", layer="*"))["results"][0]["layers"].keys() == {"osm"}


def test_layers_stay_in_their_domain(sqlite_api: API) -> None:
    new = {"name": "zz.t", "description": "d", "organization": "o", "category": "mobility.x"}
    refused(sqlite_api.put("/layers", {"data": new}), 403, "Not authorized for domain 'zz'.")
    answer = sqlite_api.put("/layers", {"data": {**new, "name": "a.new", "category": "nonsense.x"}})
    assert (answer.status_code, list((answer.json or {})["message"])) == (422, ["category"])
    good(sqlite_api.put("/layers", {"data": {**new, "name": "a.new"}}))
    assert good(sqlite_api.get("/layer/a.new"))["results"][0]["owner"] == f"{A}@example.org"


def test_pages_end_where_the_nodes_do(api: API) -> None:
    api.bulk("a.rail", [{"id": str(number), "geom": point(1, 1), "data": {}} for number in range(20)])
    first = good(api.get("/nodes", layer="a.rail", per_page=10, page=1))
    assert (len(first["results"]), first["next_page"], first["pages"], first["record_count"]) == (10, 2, "not counted.", "not counted.")
    last = good(api.get("/nodes", layer="a.rail", per_page=10, page=2))
    assert (len(last["results"]), last["next_page"]) == (10, -1)
    odd = good(api.get("/nodes", layer="a.rail", per_page="abc", page=-4))
    assert (odd["per_page"], odd["results"]) == (10, first["results"])


def test_a_place_that_is_no_number_is_refused(sqlite_api: API) -> None:
    answer = sqlite_api.get("/nodes", lat="52');DROP TABLE nodes;--", lon=4)
    assert (answer.status_code, (answer.json or {})["status"]) == (422, "fail")
    assert good(sqlite_api.get("/nodes"))["results"]


def test_two_clients_of_one_owner_merge_at_once(api: API) -> None:
    key = {"X-Auth": api.key(A)}

    def write(number: int) -> int:
        return insist(lambda: api.put(f"/{STATION}/a.rail", {"data": {f"k{number}": number}}, None, headers=key)).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(write, range(24))) == {200}
    assert record(api, STATION, "a.rail")["data"] == {f"k{number}": number for number in range(24)}


def test_a_body_above_the_limit_is_refused(sqlite_api: API) -> None:
    body = b'{"nodes": [], "pad": "' + b"x" * (10 * 1024 * 1024) + b'"}'
    answer = sqlite_api.put("/nodes/a.rail", data=body)
    assert (answer.status_code, answer.mimetype, (answer.json or {})["status"]) == (413, "application/json", "fail")
