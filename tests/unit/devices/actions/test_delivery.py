"""Calls of actions reach a real receiver: signed, again after a failure, and not in private networks unless they are allowed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from ipaddress import ip_network

import pytest

from services.common.webhooks.courier import Courier
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Received, Receiver
from tests.unit.devices.actions.conftest import Deliveries, Writer, an_action, cool, create, hot
from tests.unit.devices.conftest import API, MakeAPI, result

LOOPBACK = {"webhook_allow": (ip_network("127.0.0.0/8"),)}


@pytest.fixture
def api(make_api: MakeAPI) -> API:
    """An application that makes calls, on this machine too."""
    made = make_api(**LOOPBACK)
    made.parts.courier.start()
    return made


def to(receiver: Receiver, path: str = "/hook") -> dict[str, object]:
    return {"type": "post", "url": f"{receiver.url}{path}", "headers": {"X-Key": "k", "User-Agent": "mine"}}


def send(api: API, writer: Writer, device: object, *values: float) -> None:
    """As ingest does: it wakes the courier after the commit."""
    writer.send(device, *values)  # type: ignore[arg-type]
    api.parts.courier.wake()


def states(calls: list[dict[str, object]]) -> list[object]:
    return [call["state"] for call in calls]


def signed(call: Received, secret: str) -> str:
    """As a receiver computes it, by Standard Webhooks."""
    content = b".".join((call.headers["webhook-id"].encode(), call.headers["webhook-timestamp"].encode(), call.body))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def test_signed_and_once_a_request(api: API, writer: Writer, receiver: Receiver, deliveries: Deliveries) -> None:
    device = api.device()
    made = result(api.post("/action", an_action(hot(device.id), cool(device.id), action=to(receiver))), 201)
    send(api, writer, device, 96, 97, 98)
    send(api, writer, device, 99)
    wait_until(lambda: states(deliveries(made["action"])) == ["delivered"])
    (call,) = receiver.calls
    assert (call.method, call.path) == ("POST", "/hook")
    assert (call.headers["x-key"], call.headers["user-agent"], call.headers["content-type"]) == ("k", "mine", "application/json")
    assert call.headers["webhook-signature"] == signed(call, made["secret"])
    body = json.loads(call.body)
    assert (body["matched"], [one["value"] for one in body["data"]], body["device"]["id"]) == (3, [96, 97, 98], device.id)
    delivered = deliveries(made["action"])[0]
    assert (delivered["id"], delivered["attempts"], delivered["last_status"]) == (call.headers["webhook-id"], 1, 200)


def test_our_name_unless_the_action_has_one(api: API, writer: Writer, receiver: Receiver) -> None:
    device = api.device()
    create(api, hot(device.id), action={"type": "post", "url": f"{receiver.url}/"})
    send(api, writer, device, 96)
    wait_until(lambda: len(receiver.calls) == 1)
    assert receiver.calls[0].headers["user-agent"] == "Gatehouse-Devices"


def test_again_after_a_failure(api: API, writer: Writer, receiver: Receiver, deliveries: Deliveries) -> None:
    """The same id, another signature time; a new secret signs what still waits."""
    receiver.answers.append(500)
    device = api.device()
    action = create(api, hot(device.id), action=to(receiver))
    send(api, writer, device, 96)
    wait_until(lambda: deliveries(action)[0]["attempts"] == 1)
    failed = deliveries(action)[0]
    assert (failed["state"], failed["last_status"], failed["last_error"]) == ("pending", 500, "the target answered 500")
    secret = result(api.post(f"/action/{action}/secret"), 201)["secret"]
    api.clock.move(60)
    api.parts.courier.wake()
    wait_until(lambda: states(deliveries(action)) == ["delivered"])
    first, second = receiver.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert second.headers["webhook-signature"] == signed(second, secret)
    assert first.body == second.body


def test_private_networks_are_refused(make_api: MakeAPI, receiver: Receiver) -> None:
    api = make_api()
    api.parts.courier.start()
    device = api.device()
    action = create(api, hot(device.id), action=to(receiver))
    send(api, Writer(api), device, 96)
    wait_until(lambda: states(result(api.get(f"/action/{action}/deliveries"))) == ["dead"])
    error = result(api.get(f"/action/{action}/deliveries"))[0]["last_error"]
    assert error == "the target is in a private network; DEVICES_WEBHOOK_ALLOW can name networks that may be called"
    assert receiver.calls == []


def test_replay(api: API, writer: Writer, receiver: Receiver, deliveries: Deliveries) -> None:
    receiver.answers.append(410)  # gone: not tried again
    device = api.device()
    action = create(api, hot(device.id), action=to(receiver))
    send(api, writer, device, 96)
    wait_until(lambda: states(deliveries(action)) == ["dead"])
    secret = result(api.post(f"/action/{action}/secret"), 201)["secret"]
    result(api.post(f"/action/{action}/deliveries/{deliveries(action)[0]['id']}/replay"))
    wait_until(lambda: states(deliveries(action)) == ["delivered"])
    assert len(set(receiver.ids())) == 1
    assert receiver.calls[1].headers["webhook-signature"] == signed(receiver.calls[1], secret)


def test_never_unsigned(make_api: MakeAPI, receiver: Receiver) -> None:
    """A secret that another master key sealed: the call waits until the action has a new one."""
    before = make_api(**LOOPBACK, master_key="a" * 32)
    device = before.device()
    action = create(before, hot(device.id), action=to(receiver))
    after = make_api(**LOOPBACK, master_key="b" * 32)
    after.parts.courier.start()
    send(after, Writer(after), device, 96)
    wait_until(lambda: result(after.get(f"/action/{action}/deliveries"))[0]["attempts"] == 1)
    assert "give it a new one" in result(after.get(f"/action/{action}/deliveries"))[0]["last_error"]
    assert receiver.calls == []
    secret = result(after.post(f"/action/{action}/secret"), 201)["secret"]
    after.clock.move(60)
    after.parts.courier.wake()
    wait_until(lambda: len(receiver.calls) == 1)
    assert receiver.calls[0].headers["webhook-signature"] == signed(receiver.calls[0], secret)


def test_a_deleted_action_calls_nobody(api: API, writer: Writer, receiver: Receiver) -> None:
    """Not even by a call that was taken out of the outbox before."""
    device = api.device()
    action = create(api, hot(device.id), action=to(receiver))
    writer.send(device, 96)
    (leased,) = api.parts.courier._outbox.lease(api.clock.now().timestamp(), 60, 10, {}, 3)
    result(api.delete(f"/action/{action}"))
    courier: Courier = api.parts.courier
    courier._attempt(leased)
    assert receiver.calls == []
