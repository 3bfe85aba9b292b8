"""Actions of the devices service as a process: records come in over HTTP, calls go out to a real receiver, also after a SIGKILL."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.fake_auth import FakeAuth
from tests.support.processes import Process, migrate, running
from tests.support.stores import Prepare
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Receiver, receiving

ACCOUNT = "gh_acc_system"
AT_ONCE = 3  # calls that one process makes to one receiver at the same time


class Client:
    """The account, and devices, at one service."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc

    def send(self, method: str, path: str, body: object = None, token: str = ACCOUNT, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Token": token, **headers})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def result(self, method: str, path: str, body: object = None, token: str = ACCOUNT) -> Any:
        status, answer = self.send(method, path, body, token)
        assert status in (200, 201), answer
        return answer["result"]

    def device(self) -> tuple[str, str]:
        """Create a device; its id and its token."""
        made = self.result("POST", "/device", {"name": "boiler", "type": "mutable"})
        return made["device_id"], made["token"]

    def action(self, device: str, url: str, *, unlock: bool) -> tuple[str, str]:
        """Create an action on more than 95 degrees, freed by less than 90 when `unlock`; its id and its secret."""
        hot = {"device": device, "variable": "temperature", "is": ">", "value": "95", "value_type": "number"}
        trigger = [hot, {**hot, "is": "<", "value": "90", "unlock": True}] if unlock else [hot]
        call = {"type": "post", "url": url}
        made = self.result("POST", "/action", {"name": "too hot", "type": "condition", "trigger": trigger, "action": call})
        return made["action"], made["secret"]

    def report(self, token: str, *values: float) -> None:
        records = [{"variable": "Temperature", "value": value} for value in values]
        assert self.send("POST", "/data", records, token)[0] == 200

    def states(self, action: str) -> list[str]:
        """States of the calls of an action, the oldest first."""
        return [one["state"] for one in reversed(self.result("GET", f"/action/{action}/deliveries"))]


@pytest.fixture(scope="session")
def prepare_database() -> Prepare:
    return lambda url: migrate("devices", {"DEVICES_DATABASE_URL": url})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    auth = FakeAuth()
    auth.add(ACCOUNT, "one")
    yield {
        "DEVICES_DATABASE_URL": database_url, "DEVICES_DATA": str(tmp_path / "devices"), "DEVICES_AUTH_SECRET": "a secret",
        "DEVICES_WEBHOOK_ALLOW": "127.0.0.0/8", "AUTH_URL": auth.url,
    }  # fmt: skip
    auth.close()


def test_calls(environment: dict[str, str], tmp_path: Path, receiver: Receiver) -> None:
    """One call a request, none while locked, signed, with the records as they can be read."""
    with running("devices", environment, tmp_path, migrated=True) as (url, _):
        client = Client(url)
        device, token = client.device()
        action, secret = client.action(device, f"{receiver.url}/hook", unlock=True)
        client.report(token, 96, 97)
        client.report(token, 98)
        wait_until(lambda: client.states(action) == ["delivered"])
        client.report(token, 85)
        record = {
            "variable": "temperature", "value": 2**53 + 1, "unit": "K", "time": "2026-01-01T00:00:00.5Z", "group": "g",
            "location": {"lat": 1.5, "lng": 2}, "metadata": {"a": [1, "ü"]},
        }  # fmt: skip
        assert client.send("POST", "/data", [{**record, "value": 1}, record], token)[0] == 200
        wait_until(lambda: client.states(action) == ["delivered", "delivered"])
        (read,) = (one for one in client.result("GET", "/data?qty=9", token=token) if one["value"] == 2**53 + 1)
    assert len(set(receiver.ids())) == len(receiver.calls) == 2
    bodies = [json.loads(call.body) for call in receiver.calls]
    assert [one["value"] for one in bodies[0]["data"]] == [96, 97]
    assert bodies[1]["data"] == [read]
    for call in receiver.calls:
        content = b".".join((call.headers["webhook-id"].encode(), call.headers["webhook-timestamp"].encode(), call.body))
        code = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), content, hashlib.sha256).digest()
        assert call.headers["webhook-signature"] == "v1," + base64.b64encode(code).decode()


def test_killed_before_the_call(environment: dict[str, str], tmp_path: Path, receiver: Receiver) -> None:
    """A request was answered, its call was not made yet, and the process is killed: the next one makes the call."""
    with running("devices", environment, tmp_path, migrated=True) as (url, process):
        client = Client(url)
        device, token = client.device()
        action, _ = client.action(device, f"{receiver.url}/held", unlock=False)
        for number in range(AT_ONCE):
            client.report(token, 100 + number)
            wait_until(lambda number=number: receiver.waiting == number + 1)  # type: ignore[misc]
        client.report(token, 200)  # its call waits until one of the others is answered
        assert client.states(action) == ["pending"] * (AT_ONCE + 1)
        _kill(process)
        receiver.held.set()
    with running("devices", environment, tmp_path, migrated=True) as (url, _):
        client = Client(url)
        wait_until(lambda: client.states(action)[-1] == "delivered")
    last = receiver.calls[-1]
    assert [one["value"] for one in json.loads(last.body)["data"]] == [200]
    assert receiver.ids().count(last.headers["webhook-id"]) == 1


def _kill(process: Process) -> None:
    process.kill()
    assert not process.alive()
