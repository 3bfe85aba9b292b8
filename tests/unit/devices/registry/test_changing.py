"""A device is changed, removed, and found by nobody but its account."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.devices.conftest import ACC2, API, MadeDevice, MakeAPI, refused, result

BODY = "Error on Body parameters"


def test_what_is_given_changes_and_the_rest_stays(api: API) -> None:
    made = api.device("before", description="old", tags=[{"key": "a", "value": "1"}])
    before = result(api.get(f"/device/{made.id}"))
    api.clock.move(60)
    assert result(api.put(f"/device/{made.id}", {"name": "After", "tags": [{"key": "b", "value": "2"}]})) == "Successfully Updated"
    after = result(api.get(f"/device/{made.id}"))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"name", "bucket", "tags", "updated_at"}
    assert [one["name"] for one in result(api.get("/device", query_string={"filter[name]": "after"}))] == ["After"]
    assert result(api.get("/device", query_string={"filter[tags][0][key]": "a"})) == []
    assert len(result(api.get("/device", query_string={"filter[tags][0][key]": "b"}))) == 1


def test_a_change_is_seen_at_once(api: API) -> None:
    made = api.device()
    assert result(api.get("/info", made.token))["active"] is True
    api.put(f"/device/{made.id}", {"active": False, "description": None, "visible": False})
    assert result(api.get("/info", made.token))["active"] is False
    assert api.parts.tokens.caller({"token": made.token}).device.active is False  # what data traffic looks at


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"name": "x"}, "name"), ({"active": None}, "active"), ({"tags": None}, "tags"), ({"type": "immutable"}, "type"),
        ({"chunk_period": "day"}, "chunk_period"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_is_refused(sqlite_api: API, sqlite_device: MadeDevice, given: dict[str, Any], wrong: str) -> None:
    path = f"/device/{sqlite_device.id}"
    assert set(refused(sqlite_api.put(path, {"description": "new", **given}), 400, BODY)) == {wrong}
    assert result(sqlite_api.get(path))["description"] is None


def test_what_is_shown_can_be_sent_back(api: API) -> None:
    made = api.immutable(network="lora", connector="acme")
    result(api.put(f"/device/{made.id}", result(api.get(f"/device/{made.id}"))))


def test_network_and_connector_change_while_there_is_no_token(api: API) -> None:
    made = api.device(network="lora")
    wrong = refused(api.put(f"/device/{made.id}", {"network": "sigfox", "connector": "acme"}), 400, BODY)
    assert set(wrong) == {"network", "connector"}
    result(api.delete(f"/device/token/{made.token}"))
    result(api.put(f"/device/{made.id}", {"network": "sigfox", "connector": "acme"}))
    found = result(api.get(f"/device/{made.id}"))
    assert (found["network"], found["connector"]) == ("sigfox", "acme")


def test_a_removed_device_takes_its_tokens_with_it(api: API) -> None:
    made, other = api.device(tags=[{"key": "a", "value": "b"}]), api.device()
    result(api.get("/info", made.token))
    result(api.post(f"/device/{made.id}/params", {"key": "a", "value": "b"}), 201)
    assert result(api.delete(f"/device/{made.id}")) == "Successfully Removed"
    refused(api.get("/info", made.token), 401, "Authorization denied")
    refused(api.get(f"/device/{made.id}"), 404, "Invalid Device ID")
    refused(api.delete(f"/device/{made.id}"), 404, "Invalid Device ID")
    refused(api.put(f"/device/{made.id}", {"name": "again"}), 404, "Invalid Device ID")
    result(api.get("/info", other.token))


def test_a_tag_protects_a_device_from_removal(api: API) -> None:
    made = api.device(tags=[{"key": "_deletion_protection", "value": ""}])
    refused(api.delete(f"/device/{made.id}"), 400, "Device is protected from deletion by its tag _deletion_protection")
    result(api.get("/info", made.token))
    result(api.put(f"/device/{made.id}", {"tags": []}))
    result(api.delete(f"/device/{made.id}"))


@pytest.mark.parametrize("device_id", ["0" * 24, "5f" * 12, "x", "0" * 25, "ABCDEF" * 4, "%27", "param"])
def test_an_id_that_is_no_devices(sqlite_api: API, device_id: str) -> None:
    for send in (sqlite_api.get, sqlite_api.delete):
        refused(send(f"/device/{device_id}"), 404, "Invalid Device ID")


def test_another_accounts_device_is_not_there(api: API) -> None:
    made = api.device()
    param = {"key": "a", "value": "b"}
    for answer in (
        api.get(f"/device/{made.id}", ACC2),
        api.put(f"/device/{made.id}", {"name": "mine now"}, ACC2),
        api.delete(f"/device/{made.id}", ACC2),
        api.get(f"/device/token/{made.id}", ACC2),
        api.post("/device/token", {"device": made.id, "name": "x"}, ACC2),
        api.get(f"/device/{made.id}/params", ACC2),
        api.post(f"/device/{made.id}/params", param, ACC2),
    ):
        refused(answer, 404, "Invalid Device ID")
    assert result(api.get("/device", ACC2)) == []
    for answer in (api.delete(f"/device/token/{made.token}", ACC2), api.post(f"/device/token/{made.token}/rotate", None, ACC2)):
        refused(answer, 404, "Invalid Device Token")
    result(api.get("/info", made.token))


def test_another_process_hears_within_a_second(make_api: MakeAPI) -> None:
    """Without Valkey: what a process has looked up a second ago is looked up again."""
    here, there = make_api(), make_api()
    made = here.device()
    result(there.get("/info", made.token))
    result(there.get(f"/device/{made.id}"))
    result(here.delete(f"/device/{made.id}"))
    there.clock.move(1)
    refused(there.get("/info", made.token), 401, "Authorization denied")
    refused(there.get(f"/device/{made.id}"), 404, "Invalid Device ID")
