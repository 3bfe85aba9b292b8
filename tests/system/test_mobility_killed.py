"""The mobility service is killed in the middle of bulks: each is there whole or not at all, and what it said it wrote is there."""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.support.fake_auth import FakeAuth
from tests.support.processes import migrate, running
from tests.support.stores import Prepare
from tests.support.waiting import wait_until

BATCH = 300
WRITERS = 3
TOKEN = "gh_acc_one"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def prepare_database() -> Prepare:
    return lambda url: migrate("mobility", {"MOBILITY_DATABASE_URL": url})


@pytest.fixture
def env(database_url: str) -> Iterator[Mapping[str, str]]:
    auth = FakeAuth()
    auth.add(TOKEN, "one", level="SUPER_USER")
    yield {
        "MOBILITY_DATABASE_URL": database_url,
        "AUTH_URL": auth.url,
        "MOBILITY_AUTH_SECRET": "a secret",
        "MOBILITY_LOG_LEVEL": "WARNING",
    }
    auth.close()


class Writers:
    """Send bulks until the service is gone. The id of a node begins with the name of its bulk."""

    def __init__(self, url: str) -> None:
        self._port = int(url.rpartition(":")[2])
        self._lock = threading.Lock()
        self.sent: set[str] = set()
        self.written: set[str] = set()  # the service said so

    def run(self) -> None:
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(self._write, range(WRITERS)))

    def _write(self, writer: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            for number in range(100_000):
                name = f"b{writer}_{number}"
                with self._lock:
                    self.sent.add(name)
                connection.request("PUT", "/nodes/gtfs", bulk(name), {"Authorization": f"Bearer {TOKEN}"})
                answer = connection.getresponse()
                said = json.loads(answer.read())
                assert answer.status == 200, said
                assert said["create"]["results"]["totals"]["created"] == BATCH + 1
                with self._lock:
                    self.written.add(name)


def bulk(name: str) -> str:
    """Nodes, and a route through them all."""
    ids = [f"{name}-{number}" for number in range(BATCH)]
    nodes = [{"id": one, "geom": {"type": "Point", "coordinates": [4, 52]}, "data": {"text": "x" * 200}} for one in ids]
    route = {"id": f"{name}-route", "cdk_ids": [f"gtfs.{one.replace('-', '.')}" for one in ids], "data": {}}
    return json.dumps({"create": {"params": {"create_type": "create"}}, "nodes": [route, *nodes]})


def count(database_url: str, query: str) -> Counter[str]:
    """How many rows of each bulk there are. query: gives the ids of nodes."""
    if database_url.startswith("sqlite:///"):
        with contextlib.closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as opened:
            rows = opened.execute(query).fetchall()
    else:
        with psycopg.connect(database_url) as connection:
            rows = connection.execute(query).fetchall()
    return Counter(given_id.partition("-")[0] for (given_id,) in rows if given_id.startswith("b"))


def test_each_bulk_is_there_whole_or_not_at_all(env: Mapping[str, str], database_url: str, tmp_path: Path) -> None:
    with running("mobility", env, tmp_path, migrated=True) as (url, process):
        writers = Writers(url)
        sending = threading.Thread(target=writers.run)
        sending.start()
        wait_until(lambda: len(writers.written) > 5, what="written bulks")
        process.kill()
        sending.join(60)
        assert not sending.is_alive()
    nodes = count(database_url, "SELECT given_id FROM nodes")
    assert set(nodes.values()) == {BATCH + 1}
    assert writers.written <= nodes.keys() <= writers.sent
    assert writers.sent - writers.written
    assert count(database_url, "SELECT given_id FROM records JOIN nodes ON id = node_id") == nodes
    members = count(database_url, "SELECT given_id FROM members JOIN nodes ON id = route_id")
    assert members == dict.fromkeys(nodes, BATCH)
    if database_url.startswith("sqlite:///"):
        assert count(database_url, "SELECT given_id FROM nodes_boxes JOIN nodes USING (id)") == nodes
