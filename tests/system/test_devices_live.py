"""Live streams of the devices service as a process: clients that go away free their places, and TERM ends every stream whole."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.fake_auth import FakeAuth
from tests.support.processes import Process, running
from tests.support.waiting import wait_until

PLACES = 4  # of which one account may hold half


@pytest.fixture
def service(sqlite_url: str, tmp_path: Path) -> Iterator[tuple[str, Process]]:
    auth = FakeAuth()
    auth.add("gh_acc_one", "one")
    auth.add("gh_acc_two", "two")
    env = {
        "DEVICES_DATABASE_URL": sqlite_url, "AUTH_URL": auth.url, "DEVICES_AUTH_SECRET": "a secret",
        "DEVICES_DATA": str(tmp_path / "devices"), "DEVICES_LIVE_LIMIT": str(PLACES),
    }  # fmt: skip
    with running("devices", env, tmp_path) as started:
        yield started
    auth.close()


class Stream:
    """One open stream."""

    def __init__(self, url: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._connection.request("GET", "/data/live", headers={"Token": token})
        self.answer = self._connection.getresponse()

    def next(self) -> dict[str, object]:
        """The next event."""
        while not (line := self.answer.readline()).startswith(b"data: "):
            assert line, "the stream has ended"
        found: dict[str, object] = json.loads(line[6:])
        return found

    def close(self) -> None:
        self._connection.close()


def test_streams(service: tuple[str, Process]) -> None:
    url, process = service
    body = {"name": "a device", "type": "mutable"}
    accounts = ("gh_acc_one", "gh_acc_two")
    created = [requests.post(f"{url}/device", json=body, headers={"Token": account}, timeout=30).json() for account in accounts]
    tokens = [one["result"]["token"] for one in created]
    streams = [Stream(url, token) for token in tokens for _ in range(PLACES // 2)]
    with contextlib.ExitStack() as closing:
        for stream in streams:
            closing.callback(stream.close)
            assert stream.answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
            assert stream.next()["seq"] == 0
        for token in tokens:
            assert requests.get(f"{url}/data/live", headers={"Token": token}, timeout=30).status_code == 503
            assert requests.post(f"{url}/data", json={"variable": "a"}, headers={"Token": token}, timeout=30).status_code == 200
        assert [stream.next()["amount"] for stream in streams] == [1] * PLACES

        streams[0].close()

        def free() -> Stream | None:
            stream = Stream(url, tokens[0])
            closing.callback(stream.close)
            return stream if stream.answer.status == 200 else None

        again = wait_until(free, 30, "a free place", 0.2)
        assert again.next()["amount"] == 1
        process.signal(signal.SIGTERM)
        for stream in (*streams[1:], again):
            stream.answer.read()  # the stream ends, whole
        wait_until(lambda: not process.alive(), 30, "the end of the process")
