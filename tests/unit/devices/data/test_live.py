"""Live streams: they tell what changed, and end when they should."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.held import ClientConnection
from services.devices.data import live
from services.devices.models import Device, DeviceToken
from tests.support.stores import Valkey
from tests.support.waiting import wait_until
from tests.unit.devices.conftest import ACC2, API, MadeDevice, refused, result


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAUSE_S", 0.001)


class Stream:
    """Reads a stream in a thread. ended: when nothing more comes."""

    def __init__(self, pieces: Iterator[bytes], close: Callable[[], None]) -> None:
        self._pieces = pieces
        self._close = close
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.heartbeats = 0
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def next(self) -> dict[str, Any]:
        """The next event, with its `id`."""
        return self._events.get(timeout=10)

    def empty(self) -> bool:
        return self._events.empty()

    def _read(self) -> None:
        try:
            for piece in self._pieces:
                lines = dict(line.split(": ", 1) for line in piece.decode().strip().split("\n"))
                if "data" in lines:
                    assert lines["event"] == "data"
                    self._events.put({"id": lines["id"], **json.loads(lines["data"])})
                self.heartbeats += "" in lines
        finally:
            self._close()
            self.ended.set()


@contextlib.contextmanager
def streaming(api: API, path: str, token: str, **headers: str) -> Iterator[Stream]:
    """A stream of an application; the application ends it at last."""
    answer = api.app.test_client().get(path, headers={"Token": token, **headers}, buffered=False)
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "text/event-stream; charset=utf-8"
    stream = Stream(iter(answer.iter_encoded()), answer.close)
    try:
        yield stream
    finally:
        api.parts.wakeups.close()
        assert stream.ended.wait(10)
        assert api.parts.live.taken == 0


def test_a_stream_tells_of_what_is_stored_and_deleted(api: API) -> None:
    device = api.device()
    with streaming(api, "/data/live", device.token) as stream:
        assert stream.next() == {"id": "0", "device": device.id, "seq": 0, "amount": 0, "last_input": None}
        result(api.post("/data", [{"variable": "a"}] * 3, device.token))
        assert stream.next() == {"id": "3", "device": device.id, "seq": 3, "amount": 3, "last_input": "2026-01-01T00:00:00.000Z"}
        result(api.delete("/data?qty=1", device.token))
        assert stream.next()["amount"] == 2


def test_a_stream_of_an_immutable_device_through_its_account(api: API) -> None:
    device, other = api.immutable(), api.device()
    with streaming(api, f"/device/{device.id}/data/live", "gh_acc_one") as stream:
        assert stream.next()["amount"] == 0
        result(api.post("/data", {"variable": "a"}, other.token))
        result(api.post("/data", {"variable": "a"}, device.token))
        assert stream.next()["amount"] == 1, "the other device has streams of its own"


def test_who_connects_again_hears_only_what_is_new(api: API) -> None:
    device = api.device()
    result(api.post("/data", {"variable": "a"}, device.token))
    with streaming(api, "/data/live", device.token, **{"Last-Event-ID": "1"}) as stream:
        result(api.post("/data", {"variable": "a"}, device.token))
        assert stream.next()["seq"] == 2


def test_another_process_is_heard(valkey: Valkey, make_api: Callable[..., API]) -> None:
    here, there = make_api(valkey_url=valkey.url), make_api(valkey_url=valkey.url)
    for api in (here, there):
        assert api.parts.wakeups.wait_until_subscribed(10)  # type: ignore[union-attr]
    device = here.device()
    with streaming(here, "/data/live", device.token) as stream:
        assert stream.next()["seq"] == 0
        result(there.post("/data", {"variable": "a"}, device.token))
        assert stream.next()["seq"] == 1


def test_a_stream_holds_no_connection_while_it_waits(api: API) -> None:
    device = api.device()
    with streaming(api, "/data/live", device.token) as stream:
        stream.next()
        pool: Any = api.parts.database.engine.pool
        wait_until(lambda: pool.checkedout() == 0, 10, "all connections are back")


def _deactivate(device: MadeDevice) -> Any:
    return sa.update(Device).where(Device.id == device.id).values(active=False)


def _delete_token(device: MadeDevice) -> Any:
    return sa.delete(DeviceToken)


def _delete_device(device: MadeDevice) -> Any:
    return sa.delete(Device).where(Device.id == device.id)


@pytest.mark.parametrize("change", [_deactivate, _delete_token, _delete_device])
@pytest.mark.parametrize("by", ["device", "account"])
def test_a_stream_ends_with_the_right_to_it(change: Callable[[MadeDevice], Any], by: str, api: API) -> None:
    device = api.device()
    path, token = ("/data/live", device.token) if by == "device" else (f"/device/{device.id}/data/live", "gh_acc_one")
    with streaming(api, path, token) as stream:
        stream.next()
        with api.parts.database.transaction() as session:
            session.execute(change(device))
        api.parts.changes.announce()
        if change is _delete_token and by == "account":
            result(api.post(f"/device/{device.id}/data", {"variable": "a"}))
            assert stream.next()["seq"] == 1, "the account's token lives"
        else:
            assert stream.ended.wait(10)


def test_a_stream_ends_with_its_token(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.parts.live, "_pulse_s", 0.01)
    device = api.device()
    with api.parts.database.transaction() as session:
        session.execute(sa.update(DeviceToken).values(expires_at=api.clock.now().replace(hour=1)))
    api.parts.changes.announce()
    with streaming(api, "/data/live", device.token) as stream:
        stream.next()
        api.clock.move(3599)
        result(api.post("/data", {"variable": "a"}, device.token))
        assert stream.next()["seq"] == 1
        api.clock.move(1)
        assert stream.ended.wait(10)


def test_a_quiet_stream_shows_that_it_lives(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.parts.live, "_pulse_s", 0.01)
    device = api.device()
    with streaming(api, "/data/live", device.token) as stream:
        stream.next()
        api.clock.move(live.HEARTBEAT_S)
        wait_until(lambda: stream.heartbeats == 1, 10)


def test_a_client_that_went_away_is_noticed(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.parts.live, "_pulse_s", 0.01)
    device = api.parts.tokens.caller({"token": api.device().token}).device
    server, client = socket.socketpair()
    assert device is not None
    events = api.parts.live.follow(device, None, lambda: None, ClientConnection(server))
    stream = Stream((event.encode() for event in events), events.close)  # type: ignore[attr-defined]
    stream.next()
    client.close()
    assert stream.ended.wait(10)
    server.close()


def test_a_store_that_is_away_ends_no_stream(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.parts.live, "_pulse_s", 0.01)
    device = api.device()
    look, away = api.parts.live._look, threading.Event()
    asked = []

    def failing(ref: Any) -> Any:
        asked.append(ref)
        if away.is_set():
            raise sa.exc.OperationalError("", None, Exception())
        return look(ref)

    monkeypatch.setattr(api.parts.live, "_look", failing)
    with streaming(api, "/data/live", device.token) as stream:
        stream.next()
        away.set()
        count = len(asked)
        wait_until(lambda: len(asked) > count + 2, 10)
        result(api.post("/data", {"variable": "a"}, device.token))
        assert stream.empty()
        away.clear()
        assert stream.next()["seq"] == 1


def test_one_account_leaves_places_for_others(make_api: Callable[..., API]) -> None:
    api = make_api(live_limit=2)
    device, other = api.device(), api.device(by=ACC2)
    with streaming(api, "/data/live", device.token) as stream:
        stream.next()
        refused(api.get(f"/device/{device.id}/data/live"), 503, "Too many live streams; try again")
        answer = api.app.test_client().get("/data/live", headers={"Token": other.token}, buffered=False)
        assert (answer.status_code, api.parts.live.taken) == (200, 2)
        answer.close()
        assert api.parts.live.taken == 1
    assert not api.parts.live._of_account


def test_there_are_so_many_places(make_api: Callable[..., API]) -> None:
    api = make_api(live_limit=1)
    device = api.device()
    with streaming(api, "/data/live", device.token) as stream:
        stream.next()
        answer = api.get("/data/live", device.token)
        refused(answer, 503, "Too many live streams; try again")
        assert answer.headers["Retry-After"] == "5"
