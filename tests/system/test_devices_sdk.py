"""TagoIO's own Python SDK, unchanged, with nothing but its settings: the address of the mount, and a token."""

from __future__ import annotations

import datetime as dt
import socket
from typing import Any

import pytest
from tagoio_sdk import Resources

from tests.support.devices_house import DevicesHouse
from tests.support.devices_sdk import NOBODY, Tago, just_now, refused

pytestmark = pytest.mark.xdist_group("devices-sdk")  # one house for all

HOST = "devices.localhost"


@pytest.fixture
def tago(devices_at_home: DevicesHouse) -> Tago:
    return Tago(devices_at_home.url, devices_at_home.auth.token())


def test_a_device_from_its_birth_to_its_end(tago: Tago) -> None:
    made = tago.devices.create(
        {
            "name": "Pump 7",
            "type": "mutable",
            "tags": [{"key": "site", "value": "north"}],
            "active": True,
            "visible": False,
            "network": None,
        }
    )
    assert made.keys() == {"device_id", "bucket_id", "token"}
    assert (len(made["device_id"]), len(made["token"])) == (24, 36)
    device_id = made["device_id"]
    told = tago.devices.info(device_id)
    assert {name: told[name] for name in ("id", "name", "type", "active", "visible", "tags", "last_input")} == {
        "id": device_id, "name": "Pump 7", "type": "mutable", "active": True, "visible": False,
        "tags": [{"key": "site", "value": "north"}], "last_input": None,
    }  # fmt: skip
    assert just_now(told["created_at"]) and just_now(told["updated_at"])
    assert tago.devices.edit(device_id, {"name": "Pump 8", "tags": []}) == "Successfully Updated"
    told = tago.devices.info(device_id)
    assert (told["name"], told["tags"], told["visible"]) == ("Pump 8", [], False)
    assert tago.device(made["token"]).info()["name"] == "Pump 8"
    assert tago.devices.delete(device_id) == "Successfully Removed"
    assert refused(tago.devices.info, device_id) == "Invalid Device ID"
    assert refused(tago.devices.edit, device_id, {"name": "Pump 9"}) == "Invalid Device ID"
    assert refused(tago.devices.delete, device_id) == "Invalid Device ID"
    assert refused(tago.device(made["token"]).info) == "Authorization denied"


def test_lists_of_devices(tago: Tago) -> None:
    red = [{"key": "colour", "value": "red"}]
    ids = {name: tago.new(f"list-{name}", tags=red if name in ("b", "c") else [], active=name != "c")[0] for name in ("c", "a", "b", "d")}

    def names(**query: Any) -> list[str]:
        found = tago.devices.listDevice({"amount": 100, **query, "filter": {"name": "list-*", **query.get("filter", {})}})
        return [one["name"][5:] for one in found]

    assert names() == ["a", "b", "c", "d"]
    assert names(orderBy=["name", "desc"]) == ["d", "c", "b", "a"]
    assert names(orderBy=["created_at", "asc"]) == ["c", "a", "b", "d"]
    assert names(amount=3) + names(amount=3, page=2) + names(amount=3, page=3) == ["a", "b", "c", "d"]
    assert names(filter={"tags": red}) == ["b", "c"]
    assert names(filter={"active": True}) == ["a", "b", "d"]
    assert names(filter={"tags": red, "active": False}) == ["c"]
    assert names(filter={"id": ids["d"]}) == ["d"]
    assert names(filter={"name": "list-%"}) == []
    listed = tago.devices.listDevice({"filter": {"name": "list-b"}})
    assert {"id": ids["b"], "name": "list-b"}.items() <= listed[0].items()
    (whole,) = tago.devices.listDevice({"filter": {"name": "list-b"}, "fields": ["id", "tags", "created_at", "last_input", "active"]})
    assert (whole["id"], whole["tags"], whole["last_input"], whole["active"]) == (ids["b"], red, None, True)
    assert just_now(whole["created_at"])


def test_tokens(tago: Tago) -> None:
    device_id, first = tago.new()
    end = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=3)
    made = tago.devices.tokenCreate(device_id, {"name": "reader", "permission": "read", "expire_time": end})
    assert (len(made["token"]), made["permission"]) == (36, "read")
    tago.devices.tokenCreate(device_id, {"name": "writer", "permission": "write", "expire_time": "never"})
    listed = tago.devices.tokenList(device_id, {"fields": ["name", "permission", "expire_time", "created_at", "token", "serie_number"]})
    assert [one["name"] for one in listed] == ["writer", "reader", "Default"]
    assert {one["name"]: one["permission"] for one in listed} == {"Default": "full", "reader": "read", "writer": "write"}
    assert {one["name"]: one["expire_time"] for one in listed} == {
        "Default": "never", "reader": end.replace(tzinfo=None), "writer": "never",
    }  # fmt: skip
    assert all(just_now(one["created_at"]) and "token" in one and one["serie_number"] is None for one in listed)
    assert [one["name"] for one in tago.devices.tokenList(device_id, {"orderBy": ["name", "asc"], "amount": 2})] == ["Default", "reader"]
    assert [one["name"] for one in tago.devices.tokenList(device_id, {"filter": {"name": "wri*", "permission": "write"}})] == ["writer"]
    reader = tago.device(made["token"])
    assert reader.info()["id"] == device_id
    assert tago.devices.tokenDelete(made["token"]) == "Token Successfully Removed"
    assert refused(reader.info) == "Authorization denied"
    assert first.info()["id"] == device_id
    past = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    assert refused(tago.devices.tokenCreate, device_id, {"name": "late", "permission": "full", "expire_time": past})
    assert refused(tago.devices.tokenList, NOBODY) == "Invalid Device ID"


def test_parameters(tago: Tago) -> None:
    device_id, device = tago.new(configuration_params=[{"key": "limit", "value": "7", "sent": False}])
    assert tago.devices.paramSet(device_id, [{"key": "rate", "value": "60", "sent": False}, {"key": "led", "value": "on", "sent": True}])
    assert tago.devices.paramSet(device_id, {"id": None, "key": "downlink", "value": "01", "sent": True})
    by_key = {one["key"]: one for one in tago.devices.paramList(device_id)}
    assert {key: (one["value"], one["sent"]) for key, one in by_key.items()} == {
        "limit": ("7", False), "rate": ("60", False), "led": ("on", True), "downlink": ("01", True),
    }  # fmt: skip
    assert tago.devices.paramSet(device_id, {"key": "rate", "value": "30", "sent": False}, by_key["rate"]["id"])
    assert {one["key"] for one in tago.devices.paramList(device_id, True)} == {"led", "downlink"}
    assert {one["key"]: one["value"] for one in tago.devices.paramList(device_id, False)} == {"limit": "7", "rate": "30"}
    assert device.setParameterAsRead(by_key["limit"]["id"])
    assert {one["key"]: one["sent"] for one in device.getParameters()} == {"limit": True, "rate": False, "led": True, "downlink": True}
    assert {one["key"] for one in device.getParameters(onlyUnRead=True)} == {"limit", "led", "downlink"}, "the SDK asks for what was sent"
    assert tago.devices.paramRemove(device_id, by_key["led"]["id"])
    assert len(tago.devices.paramList(device_id)) == 3
    assert refused(tago.devices.paramRemove, device_id, by_key["led"]["id"])
    assert refused(device.setParameterAsRead, by_key["led"]["id"])


def test_data_as_the_account(tago: Tago) -> None:
    device_id, _ = tago.new()
    assert tago.devices.amount(device_id) == 0
    assert tago.devices.getDeviceData(device_id) == []
    assert tago.devices.sendDeviceData(device_id, {"variable": "level", "value": 1}) == "1 Data Added"
    moment = dt.datetime(2026, 5, 4, 3, 2, 1, 234000)
    many = [{"variable": "level", "value": 2, "time": moment}, {"variable": "door", "value": "open", "metadata": {"by": "wind"}}]
    assert tago.devices.sendDeviceData(device_id, many) == "2 Data Added"
    assert tago.devices.amount(device_id) == 3
    (old,) = tago.devices.getDeviceData(device_id, {"variables": "level", "end_date": "2026-06-01", "details": True})
    assert (old["value"], old["time"], old["device"]) == (2, moment, device_id)
    assert just_now(old["created_at"])
    assert tago.devices.editDeviceData(device_id, [{"id": old["id"], "value": 3}]) == "1 item(s) updated"
    assert [one["value"] for one in tago.devices.getDeviceData(device_id, {"ids": [old["id"]]})] == [3]
    assert tago.devices.deleteDeviceData(device_id, {"variables": ["level"], "qty": 1}) == "1 Data Removed"
    assert tago.devices.amount(device_id) == 2
    assert refused(tago.devices.deleteDeviceData, device_id)
    assert tago.devices.emptyDeviceData(device_id) == "Data Successfully Removed"
    assert tago.devices.amount(device_id) == 0
    assert refused(tago.devices.getDeviceData, NOBODY) == "Invalid Device ID"


def test_chunks(tago: Tago) -> None:
    device_id, device = tago.new(type="immutable", chunk_period="day", chunk_retention=3)
    assert device.sendData([{"variable": "a", "value": 1}, {"variable": "a", "value": 2}]) == "2 Data Added"
    (chunk,) = tago.devices.getChunk(device_id)
    assert chunk["amount"] == 2
    assert refused(device.deleteData) == "Data in immutable devices cannot be deleted"
    assert refused(device.editData, {"id": NOBODY, "value": 1}) == "You cannot edit data on immutable device"
    assert tago.devices.deleteChunk(device_id, chunk["id"])
    assert (tago.devices.getChunk(device_id), tago.devices.amount(device_id)) == ([], 0)


def test_tokens_that_may_not(tago: Tago) -> None:
    device_id, device = tago.new()
    reader, writer = (
        tago.device(tago.devices.tokenCreate(device_id, {"name": name, "permission": name, "expire_time": "never"})["token"])
        for name in ("read", "write")
    )
    assert writer.sendData({"variable": "a", "value": 1}) == "1 Data Added"
    assert [one["value"] for one in reader.getData()] == [1]
    for call in (writer.getData, writer.info, writer.getParameters):
        assert refused(call) == "Authorization denied"
    assert refused(reader.sendData, {"variable": "a", "value": 1}) == "Authorization denied"
    assert refused(reader.editData, {"id": NOBODY, "value": 1}) == "Authorization denied"
    assert refused(reader.deleteData) == "Authorization denied"
    assert refused(tago.device("00000000-0000-4000-8000-000000000000").getData) == "Authorization denied"
    assert refused(tago.device("nonsense").getData) == "Authorization denied"
    assert refused(tago.device(tago.devices.token).sendData, {"variable": "a"}) == "Authorization denied"
    assert refused(Tago(tago.region["api"], device.token).devices.listDevice) == "Authorization denied"
    tago.devices.edit(device_id, {"active": False})
    assert refused(device.sendData, {"variable": "a", "value": 1}) == "Device is deactivated"
    assert refused(device.getData) == "Device is deactivated"


def test_what_is_not_served_says_so(tago: Tago) -> None:
    device_id, _ = tago.new()
    assert refused(tago.devices.statistics, device_id) == "Not found"
    assert refused(tago.devices.dataBackup, {"deviceID": device_id, "file_address": "/a"}) == "Not found"
    assert refused(tago.devices.dataRestore, {"deviceID": device_id, "file_address": "/a"}) == "Not found"
    assert refused(tago.devices.create, {"name": "both", "type": "hybrid"}) == "Error on Body parameters"


def test_the_environment_of_an_analysis(devices_at_home: DevicesHouse, tago: Tago, monkeypatch: pytest.MonkeyPatch) -> None:
    """As TagoIO runs programs: the SDK takes its address and its token from the environment."""
    device_id, _ = tago.new("of an analysis")
    policy = [{"resource": "device", "actions": ["access"]}]
    monkeypatch.setenv("TAGOIO_API", devices_at_home.url)
    monkeypatch.setenv("T_ANALYSIS_TOKEN", devices_at_home.auth.token("analysis", policy=policy))
    devices = Resources().devices
    assert devices.info(device_id)["name"] == "of an analysis"
    assert refused(devices.edit, device_id, {"name": "another"}) == "Authorization denied"


def test_the_host_of_the_service(devices_at_home: DevicesHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that can be told a host and no path. The name leads here as it would by DNS or a hosts file."""
    tago = Tago(f"http://{HOST}:{devices_at_home.port}", devices_at_home.auth.token())
    find = socket.getaddrinfo
    asked = []

    def found(host: Any, *more: Any, **named: Any) -> Any:
        asked.append(host)
        return find("127.0.0.1" if host == HOST else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    device_id, device = tago.new("by host name")
    assert device.sendData({"variable": "a", "value": 1}) == "1 Data Added"
    assert [one["value"] for one in device.getData({"query": "last_item", "variables": "a"})] == [1]
    assert tago.devices.info(device_id)["name"] == "by host name"
    assert refused(tago.devices.info, NOBODY) == "Invalid Device ID"
    assert refused(device.getData, {"ids": [NOBODY] * 800}) == "The request target is too long"
    assert set(asked) == {HOST}
