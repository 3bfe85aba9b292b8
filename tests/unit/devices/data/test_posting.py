"""POST /data over HTTP: what is taken, what is refused, and that it is all or nothing."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.unit.devices.conftest import ACC, ACC2, ANALYSIS, API, MadeDevice, MakeAPI, refused, result

BODY = "Error on Body parameters"


@pytest.fixture
def device(api: API) -> MadeDevice:
    return api.device()


def amount(api: API, device: MadeDevice) -> int:
    found: int = result(api.get("/data?query=count", device.token))
    return found


def test_one_record_or_a_list_is_added(api: API, device: MadeDevice) -> None:
    assert result(api.post("/data", {"variable": "a", "value": 1}, device.token)) == "1 Data Added"
    assert result(api.post("/data", [{"variable": "a"}, {"variable": "b"}], device.token)) == "2 Data Added"
    assert result(api.post(f"/device/{device.id}/data", {"variable": "a"})) == "1 Data Added"
    assert result(api.post(f"/device/{device.id}/data", {"variable": "a"}, ANALYSIS)) == "1 Data Added"
    assert amount(api, device) == 5


def test_a_list_with_a_mistake_is_refused_whole(api: API, device: MadeDevice) -> None:
    body = [{"variable": "a"}, {"value": 1}, {"variable": "b"}]
    assert refused(api.post("/data", body, device.token), 400, BODY) == {"1.variable": ["Required"]}
    assert amount(api, device) == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"variable": "a b"}, "variable"),
        ({"variable": "a$"}, "variable"),
        ({"variable": "a", "location": {"lat": 91, "lng": 0}}, "location"),
        ({"variable": "a", "time": "2026-02-30"}, "time"),
        ({"variable": "a", "value": {}}, "value"),
    ],
)
def test_a_mistake_is_told_by_its_field(sqlite_api: API, sqlite_device: MadeDevice, body: Any, field: str) -> None:
    assert list(refused(sqlite_api.post("/data", body, sqlite_device.token), 400, BODY)) == [field]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"variable": "secret", }', "line 1, column 24: Expecting property name enclosed in double quotes"),
        ('[\n{"variable": "secret" "value"}]', "line 2, column 23: Expecting ',' delimiter"),
        ('{"variable": "secret', "line 1, column 14: Unterminated string"),
        ('{"variable": "\0"}', "line 1, column 15: Invalid control character"),
        ("", "line 1, column 1: Expecting value"),
        ("{} secret", "line 1, column 4: Extra data"),
        (b'{"variable": "\xff"}', "byte 15: Not UTF-8"),
        ('{"variable": "\\ud800"}', "Half of a surrogate pair"),
        ("[" * 100_000, "Nested too deeply"),
        ('{"variable":"a","value":NaN}', "A number that is not finite, or too long"),
        ('[{"variable":"a","value":-Infinity}]', "A number that is not finite, or too long"),
        (f'{{"variable":"a","value":{"1" * 5000}}}', "A number that is not finite, or too long"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(sqlite_api: API, sqlite_device: MadeDevice, body: str | bytes, where: str) -> None:
    for path, token in (("/data", sqlite_device.token), (f"/device/{sqlite_device.id}/data", ACC)):
        answer = sqlite_api.post(path, None, token, data=body, content_type="application/json")
        assert refused(answer, 400, BODY) == {"body": [where]}
    assert amount(sqlite_api, sqlite_device) == 0


@pytest.mark.parametrize("body", ["[]", "null", "1"])
def test_json_without_records_is_refused(sqlite_api: API, sqlite_device: MadeDevice, body: str) -> None:
    answer = sqlite_api.post("/data", None, sqlite_device.token, data=body, content_type="application/json")
    assert refused(answer, 400, BODY) == {}
    assert amount(sqlite_api, sqlite_device) == 0


def test_a_body_is_json_whatever_it_is_called_unless_it_is_called_text(sqlite_api: API) -> None:
    device = sqlite_api.device()
    for kind in (None, "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = sqlite_api.send("POST", "/data", device.token, data=b'{"variable":"a"}', content_type=kind)
        assert result(answer) == "1 Data Added", kind
    answer = sqlite_api.send("POST", "/data", device.token, data=b'{"variable":"a"}', content_type="text/plain")
    refused(answer, 400, BODY)
    assert amount(sqlite_api, device) == 4


def test_a_body_that_is_too_large_is_refused(api: API, device: MadeDevice) -> None:
    body = json.dumps([{"variable": "a", "value": "x" * 5000}] * 41)
    assert len(body) > 200_000
    refused(api.post("/data", None, device.token, data=body, content_type="application/json"), 413, "Payload too large")
    largest = json.dumps([{"variable": "a"}] * 9_900)
    assert result(api.post("/data", None, device.token, data=largest, content_type="application/json")) == "9900 Data Added"


def test_the_times_of_an_immutable_device_are_those_that_it_keeps(api: API) -> None:
    device = api.immutable()
    day = 24 * 3600
    now = int(api.clock.now().timestamp())
    for time in (now - 5 * day, now + 3 * day):
        answer = api.post("/data", [{"variable": "a"}, {"variable": "a", "time": time}], device.token)
        refused(answer, 400, "Time must be between 2025-12-29 and 2026-01-02")
    assert amount(api, device) == 0


def test_a_repetition_with_its_key_is_answered_and_not_stored(api: API, device: MadeDevice) -> None:
    key = {"Idempotency-Key": "one"}
    body = [{"variable": "a"}, {"variable": "b"}]
    answers = [api.post("/data", body, device.token, headers=key) for _ in range(3)]
    assert [result(answer) for answer in answers] == ["2 Data Added"] * 3
    assert amount(api, device) == 2
    refused(api.post("/data", body[:1], device.token, headers=key), 409, "The Idempotency-Key was used with another body")
    assert result(api.post(f"/device/{device.id}/data", body, headers=key)) == "2 Data Added"
    assert amount(api, device) == 2, "the key is the device's, whoever sends it"


def test_a_key_has_so_many_characters(sqlite_api: API, sqlite_device: MadeDevice) -> None:
    for key in ("", "k" * 256):
        answer = sqlite_api.post("/data", {"variable": "a"}, sqlite_device.token, headers={"Idempotency-Key": key})
        refused(answer, 400, "The Idempotency-Key must have 1 to 255 characters")


def test_repetitions_at_the_same_time_are_stored_once(make_api: MakeAPI) -> None:
    apis = [make_api(), make_api()]
    device = apis[0].device()

    def send(number: int) -> str:
        answer = apis[number % 2].post("/data", {"variable": "a"}, device.token, headers={"Idempotency-Key": f"{number // 8}"})
        return str(result(answer))

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(send, range(32))) == {"1 Data Added"}
    assert amount(apis[0], device) == 4


def test_two_writers_lose_nothing(make_api: MakeAPI) -> None:
    apis = [make_api(), make_api()]
    device = apis[0].immutable()

    def write(api: API) -> None:
        for number in range(50):
            body = [{"variable": "a", "value": number * 10 + one} for one in range(10)]
            assert result(api.post("/data", body, device.token)) == "10 Data Added"

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, apis))
    assert amount(apis[0], device) == 1000
    assert result(apis[1].get("/info", device.token))["last_input"] == "2026-01-01T00:00:00.000Z"
    values = [record["value"] for record in result(apis[1].get("/data?qty=1000", device.token))]
    assert sorted(values) == sorted([*range(500)] * 2)


def test_a_foreign_device_is_not_there(api: API, device: MadeDevice) -> None:
    refused(api.post(f"/device/{device.id}/data", {"variable": "a"}, ACC2), 404, "Invalid Device ID")
    refused(api.post("/data", {"variable": "a"}, ACC), 403, "Authorization denied")
