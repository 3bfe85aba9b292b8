"""The short way in for POST /data: whatever is sent, what comes back, what is stored and what is counted is as without it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import flask
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from services.common.refusal import Refusal
from tests.unit.devices.conftest import ACC, API, MadeDevice, MakeAPI

BODY = json.dumps([{"variable": "a", "value": 1}, {"variable": "b", "group": "g"}])


@pytest.fixture
def ways(make_api: MakeAPI, monkeypatch: pytest.MonkeyPatch) -> tuple[API, API]:
    """Two applications on one store: as it is, and without the door."""
    with_door, without = make_api(), make_api()
    monkeypatch.setattr(without.app, "wsgi_app", Flask.wsgi_app.__get__(without.app))
    return with_door, without


@pytest.fixture
def seen(ways: tuple[API, API]) -> Iterator[list[int]]:
    """The applications whose routes were asked, by their place."""
    places: list[int] = []

    def note(app: Flask, **_: Any) -> None:
        places.append([api.app for api in ways].index(app))

    with flask.request_started.connected_to(note):
        yield places


def send(api: API, token: str | None, body: str | bytes = BODY, path: str = "/data", **headers: str) -> TestResponse:
    shown = {"Content-Type": "application/json", "X-Request-Id": "an-id", **({"Device-Token": token} if token else {})}
    shown |= {name.replace("_", "-"): value for name, value in headers.items()}
    return api.app.test_client().post(path, data=body, headers=shown)


def compared(answer: TestResponse) -> tuple[int, bytes, Mapping[str, str]]:
    return answer.status_code, answer.data, {name.lower(): value for name, value in answer.headers.items()}


def counted(api: API) -> dict[str, float]:
    """How many answers `/metrics` tells of, by status."""
    found = {}
    for metric in api.app.extensions["metrics"].collect():
        for sample in metric.samples:
            if sample.name == "http_requests_total" and (sample.labels["method"], sample.labels["route"]) == ("POST", "/data"):
                found[sample.labels["status"]] = sample.value
    return found


def more(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {status: count - before.get(status, 0) for status, count in after.items() if count != before.get(status, 0)}


def records(api: API, device: MadeDevice) -> int:
    found: int = api.get("/data?query=count", device.token).json["result"]
    return found


@pytest.mark.parametrize("header", ["Device-Token", "Token", "Authorization", "Authentication"])
def test_what_devices_send_all_day_asks_no_route(ways: tuple[API, API], seen: list[int], header: str) -> None:
    device = ways[0].immutable()
    seen.clear()
    before = [counted(api) for api in ways]
    answers = [send(api, None, **{header: device.token}) for api in ways]
    assert seen == [1]
    assert compared(answers[0]) == compared(answers[1])
    assert (answers[0].status_code, answers[0].json) == (200, {"status": True, "result": "2 Data Added"})
    assert [more(counted(api), earlier) for api, earlier in zip(ways, before, strict=True)] == [{"200": 1}] * 2
    assert records(ways[0], device) == 4


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("{", {}),
        ("", {}),
        ("[]", {}),
        ('[{"variable":"a"},{"variable":"$"}]', {}),
        ('{"variable":"a","time":0}', {}),
        ("x" * 200_001, {}),
        (BODY, {"Content_Type": "text/plain"}),
        (BODY, {"Content_Type": "application/json; charset=utf-8"}),
        (BODY, {"Idempotency_Key": "key"}),
        (BODY, {"Idempotency_Key": ""}),
        (BODY, {"Content_Encoding": "gzip"}),
        (BODY, {"Device_Token": ""}),
        (BODY, {"Idempotency_Key": "k" * 256}),
        (BODY, {"Account_Token": "gh_acc_one"}),
        (BODY, {"Device_Token": "00000000-0000-0000-0000-000000000000"}),
        (BODY, {"Device_Token": "nonsense"}),
        (BODY, {"X_Request_Id": "not sane \u00e9"}),
        (BODY, {"path": "/data?query=last_item"}),
        (BODY, {"path": "/data/"}),
        (BODY, {"path": "/device"}),
    ],
)
def test_all_else_is_answered_by_the_application(ways: tuple[API, API], body: str, headers: dict[str, str]) -> None:
    device = ways[0].immutable()
    path = headers.get("path", "/data")
    headers = {name: value for name, value in headers.items() if name != "path"}
    before = [counted(api) for api in ways]
    answers = [send(api, headers.get("Device_Token", device.token), body, path, **headers) for api in ways]
    found = [compared(answer) for answer in answers]
    if "X_Request_Id" in headers:
        for _, _, shown in found:
            assert len(shown.pop("x-request-id")) == 16  # type: ignore[attr-defined]
    assert found[0] == found[1]
    first, second = (more(counted(api), earlier) for api, earlier in zip(ways, before, strict=True))
    assert first == second and first in ({f"{answers[0].status_code}": 1}, {})


def test_tokens_that_may_not_write_are_refused_as_ever(ways: tuple[API, API]) -> None:
    api = ways[0]
    device = api.device()
    token = api.post("/device/token", {"device": device.id, "name": "reader", "permission": "read"}).json["result"]["token"]
    for one in ways:
        assert (send(one, token).status_code, send(one, None, Token=ACC).status_code) == (403, 403)
    api.put(f"/device/{device.id}", {"active": False})
    assert send(api, device.token).json["message"] == "Device is deactivated"


def test_what_the_store_refuses_is_tried_once(ways: tuple[API, API], monkeypatch: pytest.MonkeyPatch) -> None:
    device = ways[0].device()
    for api in ways:
        tried: list[Any] = []

        def refuse(*arguments: Any, tried: list[Any] = tried, **_: Any) -> int:
            tried.append(arguments)
            raise Refusal(503, "try again", "too-busy", headers={"Retry-After": "1"})

        monkeypatch.setattr(api.parts.ingest, "add", refuse)
        answer = send(api, device.token)
        assert (answer.status_code, answer.headers["Retry-After"], len(tried)) == (503, "1", 1)


def test_a_fault_is_told_as_one(ways: tuple[API, API], monkeypatch: pytest.MonkeyPatch, log_restored: None) -> None:
    device = ways[0].device()
    for api in ways:
        monkeypatch.setattr(api.parts.ingest, "add", lambda *_, **__: 1 / 0)
    assert compared(send(ways[0], device.token)) == compared(send(ways[1], device.token))
    assert send(ways[0], device.token).status_code == 500


def test_limits_are_counted_by_the_application(make_api: MakeAPI) -> None:
    api = make_api(rate_limits=(("POST /data", 2),))
    device = api.device()
    assert [send(api, device.token).status_code for _ in range(3)] == [200, 200, 429]
