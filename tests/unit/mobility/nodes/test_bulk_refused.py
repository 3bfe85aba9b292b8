"""Bulks that are refused: what is said, of which node, and that nothing is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.mobility.web import BODY_LIMIT
from tests.unit.mobility.conftest import API, STATION, A, B, good, point, refused

GOOD = {"id": "good", "geom": point(4.9, 52.4), "data": {}}
DATA: dict[str, Any] = {"data": {}}
CREATE = {"params": {"create_type": "create"}}
TOO_LARGE = "'data' of a layer on a node has at most 100,000 bytes as JSON; these would be 100,008"
VALIDITY = "Object with cdk_id={} submitted with incorrect validity field, must be array with two datetime values, with value 1 < value 2"


def said(answer: TestResponse) -> Any:
    return answer.json


def nothing_written(api: API) -> bool:
    with api.parts.database.read() as session:
        return session.connection().exec_driver_sql("SELECT count(*) FROM nodes").scalar() == 1


@pytest.mark.parametrize(
    ("wrong", "status", "message"),
    [
        ({**DATA, "cdk_id": STATION, "cdk_ids": [STATION]}, 422, "Node with both cdk_id and cdk_ids fields encountered."),
        ({**DATA, "cdk_ids": []}, 422, "Invalid cdk_ids field encountered. Must be array."),
        ({**DATA, "cdk_ids": STATION}, 422, "Invalid cdk_ids field encountered. Must be array."),
        ({**DATA, "cdk_ids": [1, 2]}, 422, "A cdk_id must be a string."),
        ({**DATA, "cdk_ids": [None]}, 422, "A cdk_id must be a string."),
        ({**DATA, "cdk_id": "x" * 256}, 422, "A cdk_id has at most 255 characters."),
        (DATA, 422, "Node without id, cdk_id or cdk_ids field encountered."),
        ({**DATA, "name": "only"}, 422, "Node without id, cdk_id or cdk_ids field encountered."),
        ({**DATA, "id": None, "cdk_id": None}, 422, "Node without id, cdk_id or cdk_ids field encountered."),
        ([], 422, "A node must be an object."),
        ({**DATA, "cdk_id": "nope"}, 404, "Node 'nope' not found."),
        ({**DATA, "cdk_ids": ["nope"]}, 404, "Node 'nope' not found."),
        ({**DATA, "cdk_ids": [STATION, "nope"]}, 422, "Nonexistent cdk_id --> nope"),
        ({**GOOD, "id": "GOOD!"}, 422, "cdk_id must be unique: 'a.rail.good'"),
        (GOOD, 422, "cdk_id must be unique: 'a.rail.good'"),
        ({**DATA, "cdk_id": "a.rail.good"}, 422, "cdk_id must be unique: 'a.rail.good'"),
        ({**GOOD, "id": "!!!"}, 422, "No cdk_id can be made of the id '!!!': it needs a letter or a digit of ASCII."),
        ({**GOOD, "id": True}, 422, "'id' must be a string or a number"),
        ({**GOOD, "id": "x", "name": ["x"]}, 422, "'name' must be a string or a number"),
        ({**GOOD, "id": "x", "name": "x" * 1001}, 422, "A name has at most 1000 characters."),
        ({"cdk_id": STATION, "data": {"x": {"y": 1}}}, 422, "'data' object in POST data cannot contain arrays or objects"),
        ({"cdk_id": STATION, "data": {"x": "é" * 50_000}}, 422, TOO_LARGE),
        ({**DATA, "cdk_id": STATION, "modalities": "rail"}, 422, "'modalities' parameter must be an array."),
        (
            {**DATA, "cdk_id": STATION, "modalities": ["rail", "hovercraft"]},
            422,
            f'Incorrect modality encountered in object with cdk_id={STATION}: "hovercraft"',
        ),
        ({**DATA, "cdk_id": STATION, "validity": ["2026-01-02", "2026-01-01"]}, 422, VALIDITY.format(STATION)),
        ({**DATA, "cdk_id": STATION, "validity": ["2026-01-01", "2026-01-01"]}, 422, VALIDITY.format(STATION)),
        ({**DATA, "cdk_id": STATION, "validity": ["0001-01-01T00:00+14:00", "2026-01-01"]}, 422, VALIDITY.format(STATION)),
        ({**DATA, "cdk_id": STATION, "validity": ["soon"]}, 422, VALIDITY.format(STATION)),
        ({**GOOD, "id": "x", "validity": 2026}, 422, VALIDITY.format("a.rail.x")),
    ],
)
def test_a_node_that_is_wrong(sqlite_api: API, wrong: Any, status: int, message: str) -> None:
    body = refused(sqlite_api.put("/nodes/a.rail", {"create": CREATE, "nodes": [GOOD, {"id": "no data"}, wrong]}), status, message)
    assert body["index"] == 2
    assert nothing_written(sqlite_api)


def test_the_place_of_a_wrong_geometry(sqlite_api: API) -> None:
    body = {"create": CREATE, "nodes": [GOOD, {"id": "no data"}, {**GOOD, "id": "x", "geom": {"type": "Point", "coordinates": []}}]}
    answer = sqlite_api.put("/nodes/a.rail", body)
    assert (answer.status_code, said(answer)["index"]) == (422, 2), answer.text
    assert nothing_written(sqlite_api)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "No 'nodes' object supplied - nothing to do"),
        ({"nodes": {}}, "'nodes' must be an array."),
        ({"nodes": [GOOD] * 10_001}, "At most 10000 nodes may be in a request, not 10001."),
        ({"nodes": [], "create": []}, "No 'create/params' object supplied"),
        ({"nodes": [], "create": {"params": "create"}}, "No 'create/params' object supplied"),
        ({"nodes": [], "create": {"params": {"x": "y" * 10_000}}}, "'create/params' has at most 10,000 bytes as JSON"),
        ({"nodes": [], "create": {"params": {"create_type": "all"}}}, "Invalid 'create_type' parameter supplied. (all)."),
        ({"nodes": [], "create": {"params": {"create_type": []}}}, "Invalid 'create_type' parameter supplied. (…)."),
        ({"nodes": [], "create": {"params": {"node_type": "line"}}}, "Invalid 'node_type' parameter supplied. (line)."),
        ({"nodes": [], "create": {"params": {"srid": 0}}}, "Invalid 'srid' parameter supplied. (0)."),
        ({"nodes": [], "create": {"params": {"srid": True}}}, "Invalid 'srid' parameter supplied. (True)."),
        ({"nodes": [], "create": {"params": {"srid": 10**400}}}, f"Invalid 'srid' parameter supplied. (1{'0' * 99})."),
        ({"nodes": [], "create": {"params": {"srid": [28992]}}}, "Invalid 'srid' parameter supplied. (…)."),
        ({"nodes": [], "create": {"params": {"srid": 999_999}}}, "Invalid 'srid' parameter supplied. (999999)."),
        ({"nodes": [], "create": {"params": {"srid": 5709}}}, "Invalid 'srid' parameter supplied. (5709)."),
        ({"nodes": [], "create": {"params": {"modalities": "rail"}}}, "'modalities' parameter must be an array."),
        (
            {"nodes": [], "create": {"params": {"modalities": ["hovercraft"]}}},
            'Incorrect modality encountered in root modalities: "hovercraft"',
        ),
    ],
)
def test_a_request_that_is_wrong(sqlite_api: API, body: Any, message: str) -> None:
    assert "index" not in refused(sqlite_api.put("/nodes/a.rail", body), 422, message)
    assert nothing_written(sqlite_api)


def test_what_is_looked_at_first(sqlite_api: API) -> None:
    for text in ("{", ""):
        refused(sqlite_api.send("PUT", "/nodes/no.such", None, data=text), 404, "Invalid layer spec: no.such")
        refused(sqlite_api.send("PUT", "/nodes/a.*", A, data=text), 404, "Invalid layer spec: a.*")
        refused(sqlite_api.send("PUT", "/nodes/a.rail", None, data=text), 401, "Not Authorized")
        refused(sqlite_api.send("PUT", "/nodes/a.rail", B, data=text), 403, "Not authorized for layer 'a.rail'.")
        assert said(sqlite_api.send("PUT", "/nodes/a.rail", A, data=text))["message"].startswith("Error parsing JSON - ")


@pytest.mark.parametrize(
    "text",
    ['[{"id": 1}]', '{"nodes": [NaN]}', '{"nodes": [1e999]}', '{"nodes": ["\\ud800"]}', '{"nodes": ["\\u0000"]}', "[" * 50_000, b"\xff"],
    ids=["array", "nan", "huge", "half a character", "nul", "deep", "not UTF-8"],
)
def test_a_body_that_is_no_json_of_ours(sqlite_api: API, text: str | bytes) -> None:
    answer = sqlite_api.send("PUT", "/nodes/a.rail", A, data=text)
    assert (answer.status_code, said(answer)["status"]) == (422, "fail")


def test_a_refused_bulk_renews_the_session(sqlite_api: API) -> None:
    key = sqlite_api.key(A)
    for _ in range(3):
        sqlite_api.clock.move(50)
        assert sqlite_api.send("PUT", "/nodes/a.rail", None, headers={"X-Auth": key}, data="{").status_code == 422


def test_a_body_has_at_most_10_mib(sqlite_api: API) -> None:
    text = json.dumps({"nodes": []})
    good(sqlite_api.send("PUT", "/nodes/a.rail", A, data=text.ljust(BODY_LIMIT)))
    answer = sqlite_api.send("PUT", "/nodes/a.rail", A, data=text.ljust(BODY_LIMIT + 1))
    assert (answer.status_code, said(answer)["status"]) == (413, "fail")


def test_dry_run_is_true_or_false(sqlite_api: API) -> None:
    answer = sqlite_api.put("/nodes/a.rail?dry_run=yes", {"create": CREATE, "nodes": [GOOD]})
    refused(answer, 422, "'dry_run' must be true or false.")
    assert nothing_written(sqlite_api)
