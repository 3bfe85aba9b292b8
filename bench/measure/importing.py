"""Imports of nodes into mobility by its bulk call, in turns with as many rows written to the same tables without it."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import statistics
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psutil
import psycopg

from bench.measure import nodes
from bench.measure.processes import cpu_seconds

BATCH, LARGE = 1000, 10_000
LAYER, BARE = "bench.import", "bench.bare"
_LAYERS = """
    INSERT INTO layers (name, category, organization, description, owner_id, owner, data_sources, realtime, status)
    VALUES ('{}', 'civic.bench', 'o', 'd', '', '', '[]', false, '')
"""
_NODES = "nodes (cdk_id, given_id, name, node_type, layer_id, min_lon, min_lat, max_lon, max_lat, geom)"


def add_layer(database: str) -> None:
    """Add the layer that is imported into."""
    if database.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
            connection.execute(_LAYERS.format(LAYER))
            connection.commit()
        return
    with psycopg.connect(database) as other:
        other.execute(_LAYERS.format(LAYER))


def _given(number: int, chance: random.Random) -> dict[str, Any]:
    lon, lat = round(chance.uniform(nodes.WEST, nodes.EAST), 6), round(chance.uniform(nodes.SOUTH, nodes.NORTH), 6)
    data = {"kind": f"k{number % 50}", "height": number % 300, "street": f"Street {number % 5000}", "open": number % 3 == 0, "code": "ASD"}
    return {"id": f"stop {number}", "name": f"Stop {number}", "geom": {"type": "Point", "coordinates": [lon, lat]}, "data": data}


def _body(given: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps({"create": {"params": {"create_type": "create"}}, "nodes": given}).encode()


class House(Protocol):
    """The service that is asked. process: gunicorn's."""

    process: psutil.Process

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]: ...
    def login(self) -> None: ...
    def release(self) -> None: ...


Write = Callable[[Sequence[dict[str, Any]]], None]


@contextlib.contextmanager
def bare_writer(database: str) -> Iterator[Write]:
    """Give a function that writes nodes without the service, in one durable transaction."""

    def node(one: dict[str, Any], layer: int) -> tuple[Any, ...]:
        lon, lat = one["geom"]["coordinates"]
        cdk_id = f"{BARE}.{one['id'].replace(' ', '.')}"
        return (cdk_id, one["id"], one["name"], "node", layer, lon, lat, lon, lat, struct.pack("<BIdd", 1, 1, lon, lat))

    if database.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(database.removeprefix("sqlite:///"), timeout=60, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(_LAYERS.format(BARE))
            layer = connection.execute("SELECT id FROM layers WHERE name = ?", (BARE,)).fetchone()[0]

            def write(given: Sequence[dict[str, Any]]) -> None:
                connection.execute("BEGIN IMMEDIATE")
                last = connection.execute("SELECT max(id) FROM nodes").fetchone()[0]
                rows = [(last + place, *node(one, layer)) for place, one in enumerate(given, 1)]
                connection.executemany(f"INSERT INTO {_NODES.replace('(', '(id, ')} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
                records = [(last + place, layer, json.dumps(one["data"])) for place, one in enumerate(given, 1)]
                connection.executemany("INSERT INTO records (node_id, layer_id, data) VALUES (?, ?, ?)", records)
                connection.execute("COMMIT")

            yield write
        return
    with psycopg.connect(database) as other, other.cursor() as cursor:
        cursor.execute(_LAYERS.format(BARE))
        cursor.execute("SELECT id FROM layers WHERE name = %s", (BARE,))
        layer = cursor.fetchone()[0]  # type: ignore[index]
        other.commit()

        def copy(given: Sequence[dict[str, Any]]) -> None:
            cursor.execute("SELECT nextval(pg_get_serial_sequence('nodes', 'id')) FROM generate_series(1, %s)", (len(given),))
            ids = [row[0] for row in cursor]
            with cursor.copy(f"COPY {_NODES.replace('(', '(id, ')} FROM STDIN") as into:
                for number, one in zip(ids, given, strict=True):
                    into.write_row((number, *node(one, layer)))
            with cursor.copy("COPY records (node_id, layer_id, data) FROM STDIN") as into:
                for number, one in zip(ids, given, strict=True):
                    into.write_row((number, layer, json.dumps(one["data"])))
            other.commit()

        yield copy


@dataclass
class Import:
    """One round: nodes a second, through the service and bare; µs of the service's processor a node; seconds of a bulk of 10,000."""

    served: float
    bare: float
    p95_ms: float
    cpu_us: float
    large_s: float

    @property
    def share(self) -> float:
        return self.served / self.bare


def ingest(database: str, one: House, total: int, rounds: int) -> list[Import]:
    """Write in turns with and without the service. total: nodes through the service, besides the large bulks."""
    chance, begun_at = random.Random(3), 0
    each = max(1, total // BATCH // rounds)
    found = []
    one.login()
    with bare_writer(database) as write:
        for _ in range(rounds):
            batches = [[_given(begun_at + place * BATCH + row, chance) for row in range(BATCH)] for place in range(each)]
            begun_at += each * BATCH
            took = []
            before = sum(cpu_seconds(one.process))
            for body in [_body(batch) for batch in batches]:
                begun = time.perf_counter()
                _good(one.ask("PUT", f"/nodes/{LAYER}", body), BATCH)
                took.append(time.perf_counter() - begun)
            spent = sum(cpu_seconds(one.process)) - before
            begun = time.perf_counter()
            for batch in batches:
                write(batch)
            bare = time.perf_counter() - begun
            large = _body([_given(begun_at + row, chance) for row in range(LARGE)])
            begun_at += LARGE
            begun = time.perf_counter()
            _good(one.ask("PUT", f"/nodes/{LAYER}", large), LARGE)
            large_s = time.perf_counter() - begun
            p95 = sorted(took)[int(len(took) * 0.95)] * 1000
            count = each * BATCH
            found.append(Import(count / sum(took), count / bare, p95, spent / count * 1e6, large_s))
    one.release()
    return found


def _good(answer: tuple[int, bytes], count: int) -> None:
    status, text = answer
    assert status == 200, text[:300]
    totals = json.loads(text)["create"]["results"]["totals"]
    assert totals["created"] == count, totals


def show(kind: str, found: Sequence[Import]) -> None:
    print(f"\n{kind}: bulks of {BATCH:,} nodes, one client\n")
    print("| nodes/s | p95 ms of a bulk | bare nodes/s | share | service CPU µs a node | a bulk of 10,000, s |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for one in found:
        print(f"| {one.served:,.0f} | {one.p95_ms:.0f} | {one.bare:,.0f} | {one.share:.2f} | {one.cpu_us:,.0f} | {one.large_s:.2f} |")
    rate, share = statistics.median(one.served for one in found), statistics.median(one.share for one in found)
    print(f"\nmedian: {rate:,.0f} nodes/s, {share:.2f} of bare", flush=True)
