"""The devices service is killed, or told to stop, in the middle of ingest: what it said it stored is there once, and no batch is torn."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import requests

from tests.support.fake_auth import FakeAuth
from tests.support.processes import Process, migrate, running
from tests.support.stores import Prepare
from tests.support.waiting import wait_until

BATCH = 20
WRITERS = 6

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def prepare_database() -> Prepare:
    return lambda url: migrate("devices", {"DEVICES_DATABASE_URL": url})


@pytest.fixture
def auth() -> Iterator[FakeAuth]:
    fake = FakeAuth()
    fake.add("gh_acc_one", "one")
    yield fake
    fake.close()


@pytest.fixture
def env(auth: FakeAuth, database_url: str, tmp_path: Path) -> Mapping[str, str]:
    return {
        "DEVICES_DATABASE_URL": database_url,
        "AUTH_URL": auth.url,
        "DEVICES_AUTH_SECRET": "a secret",
        "DEVICES_DATA": str(tmp_path / "devices"),
        "DEVICES_LOG_LEVEL": "WARNING",
    }


class Writers:
    """Send batches to one device until its service is gone. A batch's group is its name, and its Idempotency-Key."""

    def __init__(self, url: str, name: str, token: str) -> None:
        self._port = int(url.rpartition(":")[2])
        self._name = name
        self._token = token
        self._lock = threading.Lock()
        self.sent: set[str] = set()
        self.stored: set[str] = set()  # the service said so

    def run(self) -> None:
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(self._write, range(WRITERS)))

    def _write(self, writer: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            for number in range(100_000):
                group = f"{self._name}-{writer}-{number}"
                with self._lock:
                    self.sent.add(group)
                connection.request("POST", "/data", json.dumps(batch(group)), head(self._token, group))
                answer = connection.getresponse()
                said = json.loads(answer.read())
                if answer.status == 200:
                    assert said["result"] == f"{BATCH} Data Added"
                    with self._lock:
                        self.stored.add(group)
                else:
                    assert answer.status == 503, said


def batch(group: str) -> list[dict[str, object]]:
    return [{"variable": f"v{number % 3}", "value": number, "group": group} for number in range(BATCH)]


def head(token: str, group: str) -> dict[str, str]:
    return {"Device-Token": token, "Content-Type": "application/json", "Idempotency-Key": group}


def create(url: str, **fields: object) -> str:
    """Create a device; return its token."""
    body = {"name": "a device", "type": "mutable", **fields}
    answer = requests.post(f"{url}/device", json=body, headers={"Token": "gh_acc_one"}, timeout=30)
    token: str = answer.json()["result"]["token"]
    return token


def groups(database_url: str) -> dict[str, int]:
    """How many records of each group the store has."""
    query = 'SELECT "group", count(*) FROM (SELECT * FROM mutable_records) records GROUP BY "group"'
    if database_url.startswith("sqlite:///"):
        with contextlib.closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as opened:
            return dict(opened.execute(query))
    with psycopg.connect(database_url) as connection:
        return dict(connection.execute(query).fetchall())


def count(url: str, token: str) -> int:
    found: int = requests.get(f"{url}/data?query=count", headers={"Token": token}, timeout=30).json()["result"]
    return found


def end(process: Process, how: signal.Signals) -> None:
    if how == signal.SIGKILL:
        process.kill()
    else:
        process.stop(30)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told to stop"])
def test_what_was_stored_is_there_once_and_no_batch_is_torn(
    env: Mapping[str, str], database_url: str, tmp_path: Path, how: signal.Signals
) -> None:
    with running("devices", env, tmp_path, migrated=True) as (url, process):
        token = create(url)
        writers = Writers(url, "a", token)
        sending = threading.Thread(target=writers.run)
        sending.start()
        wait_until(lambda: len(writers.stored) > 40, what="stored batches")
        end(process, how)
        sending.join(60)
        assert not sending.is_alive()
    found = groups(database_url)
    assert set(found.values()) == {BATCH}
    assert writers.stored <= found.keys() <= writers.sent
    if how == signal.SIGTERM:
        assert len(writers.sent - writers.stored) <= WRITERS  # what was under way was answered
    unknown = sorted(writers.sent - writers.stored)
    assert unknown
    with running("devices", env, tmp_path, migrated=True) as (url, _):
        for group in unknown:  # the repetition of a client that had no answer
            answer = requests.post(f"{url}/data", json.dumps(batch(group)), headers=head(token, group), timeout=30)
            assert answer.json()["result"] == f"{BATCH} Data Added"
        assert groups(database_url) == dict.fromkeys(writers.sent, BATCH)
        assert count(url, token) == BATCH * len(writers.sent)


def test_the_end_of_one_process_harms_no_other(env: Mapping[str, str], database_url: str, tmp_path: Path) -> None:
    with (
        running("devices", env, tmp_path, migrated=True) as (first, killed),
        running("devices", env, tmp_path, migrated=True) as (second, survivor),
    ):
        token = create(first)
        writers = [Writers(first, "a", token), Writers(second, "b", token)]
        sending = [threading.Thread(target=one.run) for one in writers]
        for one in sending:
            one.start()
        wait_until(lambda: all(len(one.stored) > 20 for one in writers), what="stored batches of both")
        killed.kill()
        before = len(writers[1].stored)
        wait_until(lambda: len(writers[1].stored) > before + 10, what="batches of the survivor")
        survivor.stop(30)
        for one in sending:
            one.join(60)
    found = groups(database_url)
    assert set(found.values()) == {BATCH}
    assert writers[0].stored | writers[1].stored <= found.keys() <= writers[0].sent | writers[1].sent
