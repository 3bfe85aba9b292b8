"""What tokens, devices and limits do to data traffic; the data itself is tested in `data/`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from werkzeug.test import TestResponse

from services.devices.settings import parse_rate_limits
from tests.unit.devices.conftest import API, MadeDevice, MakeAPI, refused, result

DENIED = "Authorization denied"
RECORD = {"variable": "a", "value": 1}


def every_call(api: API, made: MadeDevice) -> list[TestResponse]:
    """Each call on the data of a device, with the device's token."""
    return [
        api.get("/data", made.token),
        api.post("/data", RECORD, made.token),
        api.put("/data", {"id": "0" * 24, "value": 1}, made.token),
        api.delete("/data", made.token, query_string={"variables": "a"}),
        api.get("/data/live", made.token),
    ]


def test_an_inactive_device_takes_and_gives_no_data(api: API) -> None:
    made = api.device()
    result(api.post("/data", RECORD, made.token))
    result(api.put(f"/device/{made.id}", {"active": False}))
    for answer in every_call(api, made):
        refused(answer, 400, "Device is deactivated")
    refused(api.get(f"/device/{made.id}/data"), 400, "Device is deactivated")
    refused(api.post(f"/device/{made.id}/data", RECORD), 400, "Device is deactivated")
    assert result(api.get(f"/device/{made.id}/data_amount")) == 1
    result(api.put(f"/device/{made.id}", {"active": True}))
    assert len(result(api.get("/data", made.token))) == 1


def test_an_inactive_device_takes_no_data_through_another_process(make_api: MakeAPI) -> None:
    """The one that has looked it up a moment ago learns it from the store when it writes."""
    here, there = make_api(), make_api()
    made = here.device()
    result(there.post("/data", RECORD, made.token))
    result(here.put(f"/device/{made.id}", {"active": False}))
    refused(there.post("/data", RECORD, made.token), 400, "Device is deactivated")
    assert result(here.get(f"/device/{made.id}/data_amount")) == 1


def test_an_expired_token_gets_no_data(api: API) -> None:
    made = api.device()
    new = result(api.post("/device/token", {"device": made.id, "name": "x", "expire_time": "1 hour"}), 201)
    brief = MadeDevice(made.id, new["token"])
    result(api.post("/data", RECORD, brief.token))
    api.clock.move(3600)
    for answer in every_call(api, brief):
        refused(answer, 401, DENIED)
    assert len(result(api.get("/data", made.token))) == 1


def test_a_removed_device_gives_no_data(api: API) -> None:
    made = api.device()
    result(api.post("/data", RECORD, made.token))
    assert result(api.delete(f"/device/{made.id}")) == "Successfully Removed"
    for answer in every_call(api, made):
        refused(answer, 401, DENIED)
    refused(api.get(f"/device/{made.id}/data"), 404, "Invalid Device ID")


def test_an_emptied_and_a_converted_device_show_nothing_of_before(api: API) -> None:
    made = api.device()
    first = result(api.post("/data", RECORD, made.token)) and result(api.get("/data", made.token))[0]["id"]
    result(api.post(f"/device/{made.id}/empty"))
    assert result(api.get("/data", made.token)) == []
    result(api.put(f"/device/{made.id}", {"active": False}))
    result(api.post(f"/device/{made.id}/convert", {"type": "immutable", "chunk_period": "day", "chunk_retention": 1}))
    result(api.put(f"/device/{made.id}", {"active": True}))
    assert result(api.get("/data", made.token)) == []
    result(api.post("/data", RECORD, made.token))
    (found,) = result(api.get("/data", made.token))
    assert found["id"] > first
    refused(api.put("/data", {"id": found["id"], "value": 2}, made.token), 400, "You cannot edit data on immutable device")


def test_a_limit_of_the_minute(make_api: MakeAPI) -> None:
    api = make_api(rate_limits=parse_rate_limits("POST /data=5, GET /device/<id>/data=1"))
    made = api.device()
    assert [api.post("/data", RECORD, made.token).status_code for _ in range(5)] == [200] * 5
    answer = api.post("/data", RECORD, made.token)
    refused(answer, 429, "Too many requests (Retry-After: 60)")
    assert answer.headers["Retry-After"] == "60"
    assert len(result(api.get("/data", made.token))) == 5
    assert [api.get(f"/device/{made.id}/data").status_code for _ in range(2)] == [200, 429]
    api.clock.move(60)
    result(api.post("/data", RECORD, made.token))


def test_two_who_want_the_same_serial_number(make_api: MakeAPI) -> None:
    """The database decides: one gets it."""
    apis = [make_api() for _ in range(4)]
    made = [api.device() for api in apis]

    def take(pair: tuple[API, MadeDevice]) -> int:
        return pair[0].post("/device/token", {"device": pair[1].id, "name": "x", "serie_number": "SN"}).status_code

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(take, zip(apis, made, strict=True))) == [201, 409, 409, 409]


def test_two_who_change_the_same_version(make_api: MakeAPI) -> None:
    apis = [make_api() for _ in range(4)]
    made = apis[0].device()
    result(apis[0].post(f"/device/{made.id}/params", {"key": "a", "value": "0"}), 201)

    def change(number: int) -> int:
        return apis[number].post(f"/device/{made.id}/params", {"key": "a", "value": f"by {number}", "version": 1}).status_code

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(change, range(4))) == [201, 409, 409, 409]
    (param,) = result(apis[0].get(f"/device/{made.id}/params"))
    assert param["version"] == 2
