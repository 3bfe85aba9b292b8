"""A device is created, and its token is good at once."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.devices.conftest import ACC, ACC2, API, MakeAPI, refused, result

BODY = "Error on Body parameters"


def test_a_new_device_comes_with_a_token_that_is_good_at_once(api: API) -> None:
    made = result(api.post("/device", {"name": "dev-a", "type": "mutable"}), 201)
    assert re.fullmatch("[0-9a-f]{24}", made["device_id"]) and re.fullmatch("[0-9a-f-]{36}", made["token"])
    found = result(api.get("/info", None, headers={"Device-Token": made["token"]}))
    assert found["id"] == made["device_id"] == made["bucket_id"] and found["name"] == "dev-a"
    assert (found["active"], found["visible"], found["type"], found["last_input"]) == (True, True, "mutable", None)
    assert found["created_at"] == "2026-01-01T00:00:00.000Z"


def test_all_that_is_given_is_kept(api: API) -> None:
    given = {
        "description": "in the\ncellar",
        "network": "lora",
        "connector": "acme",
        "active": False,
        "visible": False,
        "payload_decoder": "code",
        "tags": [{"key": "room", "value": "cellar"}, {"key": "room", "value": "cellar"}],
        "chunk_period": "week",
        "chunk_retention": 0,
    }
    made = api.immutable("äöü 🌡", **given, configuration_params=[{"key": "every", "value": "5 min"}])
    found = result(api.get(f"/device/{made.id}"))
    assert {name: found[name] for name in given} == given
    assert found["name"] == "äöü 🌡" and found["bucket"] == {"id": made.id, "name": "äöü 🌡"}
    assert [(one["key"], one["value"], one["sent"]) for one in result(api.get(f"/device/{made.id}/params"))] == [("every", "5 min", False)]


def test_a_mutable_device_has_no_chunks(api: API) -> None:
    made = api.device(chunk_period="day", chunk_retention=3)
    found = result(api.get(f"/device/{made.id}"))
    assert (found["chunk_period"], found["chunk_retention"]) == (None, None)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"type": "immutable"}, {"chunk_period", "chunk_retention"}),
        ({"type": "immutable", "chunk_period": "day"}, {"chunk_retention"}),
        ({"type": "immutable", "chunk_period": "year", "chunk_retention": 37}, {"chunk_period", "chunk_retention"}),
        ({"type": "immutable", "chunk_period": "day", "chunk_retention": True}, {"chunk_retention"}),
        ({"type": "hybrid"}, {"type"}),
        ({"type": None}, {"type"}),
        ({"name": "ab"}, {"name"}),
        ({"name": "x" * 101}, {"name"}),
        ({"name": 5}, {"name"}),
        ({"name": "a\0bc"}, {"name"}),
        ({"name": "a\nbc"}, {"name"}),
        ({"active": "true"}, {"active"}),
        ({"visible": 1}, {"visible"}),
        ({"tags": {"key": "a", "value": "b"}}, {"tags"}),
        ({"tags": [{"key": "a", "value": "b"}] * 31}, {"tags"}),
        ({"tags": [{"key": "a", "value": "b"}, {"key": "", "value": 1}]}, {"tags.1.key", "tags.1.value"}),
        ({"payload_decoder": "\0"}, {"payload_decoder"}),
        ({"serie_number": ["1"]}, {"serie_number"}),
        ({"configuration_params": [{"key": "a"}]}, {"configuration_params.0.value"}),
    ],
)
def test_what_is_wrong_is_told_by_field(sqlite_api: API, given: dict[str, Any], wrong: set[str]) -> None:
    before = result(sqlite_api.get("/device"))
    answer = sqlite_api.post("/device", {"name": "a device", "type": "mutable", **given})
    assert set(refused(answer, 400, BODY)) == wrong
    assert result(sqlite_api.get("/device")) == before


def test_the_type_must_be_said(sqlite_api: API) -> None:
    assert set(refused(sqlite_api.post("/device", {"name": "a device"}), 400, BODY)) == {"type"}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"3",
        b"\xff",
        b'{"name": "abc", "type": "mutable", "x": NaN}',
        b'{"name": "abc", "x": 1e999}',
        b'{"name": "\\ud800bc", "type": "mutable"}',
        b'{"x":' * 5000 + b"1" + b"}" * 5000,
        b'{"x": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(sqlite_api: API, content: bytes) -> None:
    answer = sqlite_api.send("POST", "/device", ACC, data=content, content_type="application/json")
    refused(answer, 400, BODY)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"])
def test_json_is_read_whatever_its_type_says(sqlite_api: API, content_type: str | None) -> None:
    answer = sqlite_api.send("POST", "/device", ACC, data=b'{"name": "abc", "type": "mutable"}', content_type=content_type)
    result(answer, 201)


def test_a_serial_number_belongs_to_one_token_of_the_account(api: API) -> None:
    api.device(serie_number="SN-1")
    wrong = refused(
        api.post("/device", {"name": "again", "type": "mutable", "serie_number": "SN-1"}), 409, "The serial number belongs to another token"
    )
    assert set(wrong) == {"serie_number"}
    assert len(result(api.get("/device"))) == 1  # the second one is not half there
    api.device(serie_number="SN-1", by="gh_acc_two")


def test_an_account_has_so_many_devices_at_most(make_api: MakeAPI) -> None:
    api = make_api(account_limit=2)
    first = api.device()
    api.device()
    api.device(by=ACC2)
    refused(api.post("/device", {"name": "a third", "type": "mutable"}), 400, "The account has reached the limit of 2 devices")
    result(api.delete(f"/device/{first.id}"))
    api.device()
