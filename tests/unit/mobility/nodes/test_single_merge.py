"""`PUT /<cdk_id>/<layer>`: what is refused and in which order, and how what is sent is merged with what is there."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest

from services.mobility import modalities
from services.mobility.models import Layer
from tests.unit.mobility.conftest import API, ROOT, STATION, A, good, refused
from tests.unit.mobility.nodes.conftest import add_node, data, record

PATH = f"/{STATION}/a.rail"
BROKEN = b"{"


def put_text(api: API, text: str | bytes, path: str = PATH, **options: Any) -> Any:
    return api.put(path, data=text, **options)


def test_data_of_a_layer_are_merged(api: API) -> None:
    good(api.put(PATH, {"data": {"a": "1", "b": "2"}, "modalities": ["rail"]}))
    good(api.put(PATH, {"data": {"b": "3", "c": "4"}, "modalities": ["bus", "rail", "bus"]}))
    found = record(api, STATION)
    assert found is not None
    assert (list(found.data.items()), modalities.names(found.modalities or 0)) == ([("a", "1"), ("b", "3"), ("c", "4")], ["rail", "bus"])
    shown = good(api.get(f"/{STATION}", layer="*"))["results"][0]["layers"]["a.rail"]
    assert (shown["data"], shown["modalities"]) == ({"a": "1", "b": "3", "c": "4"}, ["rail", "bus"])
    good(api.put(PATH, {"data": {}}))
    assert record(api, STATION).modalities == found.modalities  # type: ignore[union-attr]
    good(api.put(f"/{STATION}/osm", {"data": {"k": "v"}}, ROOT))
    assert data(api, STATION, "osm") == {
        "name": "Amsterdam Centraal",
        "public_transport": "station",
        "railway": "station",
        "k": "v",
    }
    assert data(api, STATION) == found.data


def test_values_are_kept_as_they_were_given(api: API) -> None:
    numbers = '"whole":542322,"big":123456789012345678901234567890,"half":1.50,"one":1.0,"small":-1e-3'
    text = f'{{"text":"1","empty":"",{numbers},"yes":true,"no":false,"none":null,"":"no key","é \\n":"ü😀"}}'
    good(put_text(api, f'{{"data":{text}}}'))
    kept = data(api, STATION)
    assert json.dumps(kept) == json.dumps(json.loads(text))
    good(api.put(PATH, {"data": {"text": None}}))
    assert data(api, STATION) == {**json.loads(text), "text": None}


def test_a_validity_is_kept_and_replaced(api: API) -> None:
    def validity(given: Any) -> Any:
        good(api.put(PATH, {"data": {}, "validity": given}))
        found = record(api, STATION)
        assert found is not None
        return found.valid_from, found.valid_to

    first = (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 7, 1, 10, tzinfo=dt.UTC))
    assert validity(["2026-01-01", "2026-07-01T12:00:00+02:00"]) == first
    assert validity(None) == first
    assert validity(["0002-01-01T00:00:00Z", "9998-12-31T23:59:59.999999Z"])[1].year == 9998


def test_a_layer_knows_the_box_of_what_it_says_something_of(api: API) -> None:
    def box() -> list[float | None]:
        with api.parts.database.read() as session:
            layer = session.query(Layer).where(Layer.name == "a.rail").one()
            return [layer.min_lon, layer.min_lat, layer.max_lon, layer.max_lat]

    add_node(api, "x", None, -7.5, -3.25)
    good(api.put("/x/a.rail", {"data": {}}))
    assert box() == [-7.5, -3.25, -7.5, -3.25]
    good(api.put(PATH, {"data": {}}))
    assert box() == [-7.5, -3.25, 4.9002776, 52.378887]


def test_checks_come_in_the_original_s_order(sqlite_api: API) -> None:
    api = sqlite_api
    refused(put_text(api, BROKEN, "/nope/no.such", by=None), 404, "Invalid layer spec: no.such")
    refused(put_text(api, BROKEN, "/nope/a.*", by=None), 404, "Invalid layer spec: a.*")
    refused(put_text(api, BROKEN, "/nope/b.poi", by=None), 401, "Not Authorized")
    refused(put_text(api, BROKEN, "/nope/b.poi"), 403, "Not authorized for layer 'b.poi'.")
    refused(put_text(api, BROKEN, "/nope/a.rail"), 404, "Node 'nope' not found.")
    answer = put_text(api, BROKEN)
    refused(answer, 422, (answer.json or {})["message"])
    assert answer.json["message"].startswith("Error parsing JSON - ")
    refused(api.put(PATH, {"modalities": ["hovercraft"]}), 422, "No 'data' found in post.")
    refused(
        api.put(PATH, {"data": {"x": []}, "modalities": ["hovercraft"]}), 422, "'data' object in POST data cannot contain arrays or objects"
    )
    text = f'Incorrect modality encountered in object with cdk_id={STATION}: "hovercraft"'
    refused(api.put(PATH, {"data": {}, "modalities": ["rail", "hovercraft"], "validity": 7}), 422, text)
    wrong = "submitted with incorrect validity field, must be array with two datetime values, with value 1 < value 2"
    refused(api.put(PATH, {"data": {}, "validity": 7}, headers={"If-Match": "*"}), 422, f"Object with cdk_id={STATION} {wrong}")
    assert data(api, STATION) is None
    assert api.put(PATH, {"data": {}}, headers={"If-Match": "*"}).status_code == 412


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "No 'data' found in post."),
        ({"data": None}, "No 'data' found in post."),
        ({"data": []}, "'data' must be an object of keys and values"),
        ({"data": "x"}, "'data' must be an object of keys and values"),
        ({"data": {"x": {"y": 1}}}, "'data' object in POST data cannot contain arrays or objects"),
        ({"data": {"x": [1]}}, "'data' object in POST data cannot contain arrays or objects"),
        ({"data": {}, "modalities": "rail"}, "'modalities' parameter must be an array."),
        ({"data": {}, "modalities": {}}, "'modalities' parameter must be an array."),
        ({"data": {}, "modalities": [None]}, f'Incorrect modality encountered in object with cdk_id={STATION}: "null"'),
        ({"data": {}, "modalities": [["rail"]]}, f'Incorrect modality encountered in object with cdk_id={STATION}: "…"'),
        ({"data": {}, "modalities": [True]}, f'Incorrect modality encountered in object with cdk_id={STATION}: "true"'),
        ({"data": {}, "modalities": [7]}, f'Incorrect modality encountered in object with cdk_id={STATION}: "7"'),
        ({"data": {}, "modalities": ["x" * 10**6]}, f'Incorrect modality encountered in object with cdk_id={STATION}: "{"x" * 100}"'),
    ],
)
def test_a_wrong_body_is_refused(sqlite_api: API, body: Any, message: str) -> None:
    refused(sqlite_api.put(PATH, body), 422, message)
    assert data(sqlite_api, STATION) is None


@pytest.mark.parametrize(
    "validity",
    [
        [],
        ["2026-01-01"],
        ["2026-01-01"] * 3,
        ["2026-01-01", "2026-01-01"],
        ["2026-01-02", "2026-01-01"],
        [1, 2],
        ["x", "y"],
        {},
        "2026",
        ["2026-01-01", None],
        ["0001-01-01T00:00+14:00", "2026-01-01"],
    ],
)
def test_a_wrong_validity_is_refused(sqlite_api: API, validity: Any) -> None:
    answer = sqlite_api.put(PATH, {"data": {}, "validity": validity})
    assert (answer.status_code, "incorrect validity field" in answer.text) == (422, True)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[1,2]",
        b"null",
        b'"x"',
        b"{'data':{}}",
        b'{"data":{"x":NaN}}',
        b'{"data":{"x":1e400}}',
        b'{"data":{"x":-1e400}}',
        b'{"data":{"x":' + b"9" * 5000 + b"}}",
        b'{"data":{"x":"\\ud800"}}',
        b'{"data":{"x":"\xff"}}',
        b'{"data":{"x":"\\u0000"}}',
        b'{"data":{"\\u0000":1}}',
        b"[" * 100_000,
        b'{"data":' * 100_000,
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_is_not_an_object_of_json_is_refused(sqlite_api: API, text: bytes) -> None:
    answer = put_text(sqlite_api, text)
    assert (answer.status_code, answer.json["message"][:21]) == (422, "Error parsing JSON - ")
    assert len(answer.text) < 500


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""])
def test_the_type_of_the_content_does_not_matter(sqlite_api: API, content_type: str) -> None:
    key = content_type or "none"
    good(put_text(sqlite_api, json.dumps({"data": {key: 1}}), f"/{STATION}/a.rail", content_type=content_type))
    assert (data(sqlite_api, STATION) or {})[key] == 1


def test_data_have_a_limit_that_holds_for_all_of_a_record(api: API) -> None:
    def text(size: int) -> str:
        return "x" * (size - len('{"k":""}'))

    good(api.put(PATH, {"data": {"k": text(100_000)}}))
    message = "'data' of a layer on a node has at most 100,000 bytes as JSON; these would be {:,}"
    refused(api.put(PATH, {"data": {"k": text(100_001)}}), 422, message.format(100_001))
    refused(api.put(PATH, {"data": {"l": 1}}), 422, message.format(100_006))
    refused(api.put(PATH, {"data": {"é" * 60_000: 1}}), 422, message.format(100_000 + 120_000 + 5))
    assert data(api, STATION) == {"k": text(100_000)}
    good(api.put(PATH, {"data": {"k": "", "l" * 50_000: 1}}))
    assert data(api, STATION) == {"k": "", "l" * 50_000: 1}


def test_a_refused_write_renews_the_session(sqlite_api: API) -> None:
    key = sqlite_api.key(A)
    for path in (PATH, "/nope/a.rail"):
        sqlite_api.clock.move(59)
        assert put_text(sqlite_api, BROKEN, path, by=None, headers={"X-Auth": key}).status_code in (404, 422)
    sqlite_api.clock.move(59)
    refused(sqlite_api.put(f"/{STATION}/b.poi", {"data": {}}, None, headers={"X-Auth": key}), 403, "Not authorized for layer 'b.poi'.")
    sqlite_api.clock.move(1)
    refused(sqlite_api.put(PATH, {"data": {}}, None, headers={"X-Auth": key}), 401, "Not Authorized")


def test_a_slow_client_holds_no_lock(sqlite_api: API) -> None:
    """While the body of one write comes in, another is done: on SQLite, whose writers wait for each other."""

    done: list[Any] = []
    key = sqlite_api.key(A)

    class Slow(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            if not done:
                done.append(sqlite_api.put(PATH, {"data": {"other": 1}}))
            return super().readinto(buffer)

    good(sqlite_api.put(PATH, None, None, headers={"X-Auth": key}, input_stream=Slow(b'{"data":{"slow":1}}')))
    good(done[0])
    assert (data(sqlite_api, STATION) or {}).keys() >= {"other", "slow"}
