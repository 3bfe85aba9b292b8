"""Configuration parameters: written by the account, read by the device, with versions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.devices.conftest import API, MadeDevice, refused, result

BODY = "Error on Body parameters"
CHANGED = "The parameter was changed meanwhile"


def write(api: API, made: MadeDevice, given: Any) -> None:
    assert result(api.post(f"/device/{made.id}/params", given), 201) == "Params Successfully Updated"


def params(api: API, made: MadeDevice, **query: str) -> dict[str, dict[str, Any]]:
    return {one["key"]: one for one in result(api.get(f"/device/{made.id}/params", query_string=query))}


def test_one_or_several_are_written(api: API) -> None:
    made = api.device()
    write(api, made, {"key": "a", "value": "1", "id": None})
    write(api, made, [{"key": "b", "value": "2", "sent": True}, {"key": "c", "value": "two\nlines"}])
    found = params(api, made)
    assert {key: (one["value"], one["sent"], one["version"]) for key, one in found.items()} == {
        "a": ("1", False, 1), "b": ("2", True, 1), "c": ("two\nlines", False, 1),
    }  # fmt: skip
    assert result(api.get(f"/device/{made.id}/params/{found['a']['id']}")) == found["a"]


def test_a_key_or_an_id_says_which_one_changes(api: API) -> None:
    made = api.device()
    write(api, made, [{"key": "a", "value": "1", "sent": True}, {"key": "b", "value": "1", "sent": True}])
    before = params(api, made)
    write(api, made, {"key": "a", "value": "2"})
    write(api, made, {"id": before["b"]["id"], "key": "renamed", "value": "1"})
    after = params(api, made)
    assert after["a"]["id"] == before["a"]["id"] and after["renamed"]["id"] == before["b"]["id"]
    assert {(one["version"], one["sent"]) for one in after.values()} == {(2, False)}
    write(api, made, {"key": "a", "value": "2", "sent": True})  # the same value: no new version
    assert (params(api, made)["a"]["version"], params(api, made)["a"]["sent"]) == (2, True)
    result(api.post(f"/device/{made.id}/params/{after['a']['id']}", {"key": "a", "value": "3"}), 201)
    assert params(api, made)["a"]["value"] == "3"


def test_a_key_goes_to_another_within_one_body(api: API) -> None:
    made = api.device()
    write(api, made, [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    ids = {key: one["id"] for key, one in params(api, made).items()}
    write(
        api, made, [{"id": ids["a"], "key": "old a", "value": "1"}, {"id": ids["b"], "key": "a", "value": "2"}, {"key": "b", "value": "3"}]
    )
    assert {key: one["value"] for key, one in params(api, made).items()} == {"a": "2", "b": "3", "old a": "1"}
    wrong = refused(api.post(f"/device/{made.id}/params", {"id": ids["a"], "key": "a", "value": "1"}), 400, BODY)
    assert set(wrong) == {"key"}


def test_another_version_is_refused_and_nothing_of_the_list_is_written(api: API) -> None:
    made = api.device()
    write(api, made, {"key": "a", "value": "1"})
    write(api, made, {"key": "a", "value": "2", "version": 1})
    refused(api.post(f"/device/{made.id}/params", [{"key": "b", "value": "1"}, {"key": "a", "value": "3", "version": 1}]), 409, CHANGED)
    refused(api.post(f"/device/{made.id}/params", {"key": "new", "value": "1", "version": 1}), 409, CHANGED)
    assert {key: one["value"] for key, one in params(api, made).items()} == {"a": "2"}
    unknown = [{"key": "b", "value": "1"}, {"id": "0" * 24, "key": "c", "value": "1"}]
    refused(api.post(f"/device/{made.id}/params", unknown), 404, "Invalid Parameter ID")
    assert params(api, made).keys() == {"a"}


def test_a_device_reads_its_parameters_and_says_so(api: API) -> None:
    made = api.device()
    write(api, made, [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    found = result(api.get("/device/params", made.token))
    assert [(one["key"], one["value"], one["sent"]) for one in found] == [("a", "1", False), ("b", "2", False)]
    assert result(api.put(f"/device/params/{found[0]['id']}", None, made.token)) == "Params Successfully Updated"
    for query, keys in (({"sent_status": "true"}, ["a"]), ({"sent_status": "False"}, ["b"]), ({}, ["a", "b"])):
        assert [one["key"] for one in result(api.get("/device/params", made.token, query_string=query))] == keys
        assert list(params(api, made, **query)) == keys
    assert params(api, made)["a"]["version"] == 1  # to read is no change
    empty = api.send("PUT", f"/device/params/{found[1]['id']}", made.token, data=b"", content_type="application/json")
    result(empty)
    assert params(api, made)["b"]["sent"] is True
    result(api.put(f"/device/params/{found[1]['id']}", {"sent": False}, made.token))
    assert params(api, made)["b"]["sent"] is False


def test_a_device_does_not_mark_what_it_has_not_read(api: API) -> None:
    made = api.device()
    write(api, made, {"key": "a", "value": "1"})
    (read,) = result(api.get("/device/params", made.token))
    write(api, made, {"key": "a", "value": "2"})
    refused(api.put(f"/device/params/{read['id']}", {"version": read["version"]}, made.token), 409, CHANGED)
    assert params(api, made)["a"]["sent"] is False
    refused(api.put(f"/device/params/{'0' * 24}", None, made.token), 404, "Invalid Parameter ID")


def test_a_device_sees_only_its_own(api: API) -> None:
    made, other = api.device(), api.device()
    write(api, made, {"key": "a", "value": "1"})
    (param,) = params(api, made).values()
    assert result(api.get("/device/params", other.token)) == []
    refused(api.put(f"/device/params/{param['id']}", None, other.token), 404, "Invalid Parameter ID")
    refused(api.get(f"/device/{other.id}/params/{param['id']}"), 404, "Invalid Parameter ID")
    refused(api.delete(f"/device/{other.id}/params/{param['id']}"), 404, "Invalid Parameter ID")
    refused(api.post(f"/device/{other.id}/params/{param['id']}", {"key": "a", "value": "x"}), 404, "Invalid Parameter ID")


def test_one_is_removed(api: API) -> None:
    made = api.device()
    write(api, made, {"key": "a", "value": "1"})
    (param,) = params(api, made).values()
    assert result(api.delete(f"/device/{made.id}/params/{param['id']}")) == "Successfully Removed"
    assert params(api, made) == {}
    refused(api.delete(f"/device/{made.id}/params/{param['id']}"), 404, "Invalid Parameter ID")


def test_a_device_has_so_many_at_most(api: API) -> None:
    made = api.device()
    write(api, made, [{"key": f"key {number}", "value": ""} for number in range(250)])
    refused(api.post(f"/device/{made.id}/params", {"key": "one more", "value": ""}), 400, "A device has at most 250 parameters")
    write(api, made, {"key": "key 0", "value": "changed"})
    again = [{"key": "key 0", "value": ""}] * 251  # a body has room for 8000 of these
    refused(api.post(f"/device/{made.id}/params", again), 400, "A device has at most 250 parameters")


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ([], set()), ("text", {"_schema"}), ({}, {"key", "value"}), ({"key": "a", "value": 1}, {"value"}),
        ({"key": "a", "value": "x" * 6001}, {"value"}), ({"key": "a", "value": "\0"}, {"value"}), ({"key": "", "value": ""}, {"key"}),
        ([{"key": "a", "value": "1"}, {"key": "b", "sent": 1}], {"1.value", "1.sent"}), ([[]], {"0"}),
        ({"key": "a", "value": "1", "version": "1"}, {"version"}), ({"key": "a", "value": "1", "version": 2**40}, {"version"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(sqlite_api: API, sqlite_device: MadeDevice, given: Any, wrong: set[str]) -> None:
    assert set(refused(sqlite_api.post(f"/device/{sqlite_device.id}/params", given), 400, BODY)) == wrong
