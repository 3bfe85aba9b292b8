"""Fills mobility's store with many nodes quickly: what is measured afterwards is reading.

A country of 1,000,000 nodes: points, two thirds of them in towns, 19,000 lines, 988 small areas and 12 regions of 0.9 degrees; five layers
from one that says something of every node to one with 10 nodes.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

WEST, SOUTH, EAST, NORTH = 3.4, 50.8, 7.1, 53.5
NODES, LINES, AREAS = 1_000_000, 19_000, 988
TOWNS = 200
SHARES = {"bench.all": 1, "bench.tenth": 10, "bench.hundredth": 100, "bench.rare": 1_000, "bench.ten": 100_000}  # one node in so many
ROWS, COLUMNS = 3, 4  # of regions
_LAYER = ("name", "category", "organization", "description", "owner_id", "owner", "data_sources", "realtime", "status")
_NODE = ("id", "cdk_id", "given_id", "name", "node_type", "layer_id", "min_lon", "min_lat", "max_lon", "max_lat", "geom")
_RECORD = ("node_id", "layer_id", "data")
_BOXES = f"""
    UPDATE layers SET min_lon = {WEST}, min_lat = {SOUTH}, max_lon = {EAST}, max_lat = {NORTH} WHERE name LIKE 'bench.%' OR name = 'admr'
"""
_WORDS = ("Kerk", "Station", "Markt", "Haven", "School", "Park", "Molen", "Brug", "Plein", "Dijk")
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Country:
    """What is there to ask about. towns: their centres. regions: cdk_ids."""

    towns: Sequence[tuple[float, float]]
    regions: Sequence[str]
    sparse: str = "bench.ten"

    def place(self, chance: random.Random) -> tuple[float, float]:
        """Somewhere, two times of three in a town."""
        return _place(chance, self.towns)


def country() -> Country:
    """Return the country that `fill` fills; always the same."""
    chance = random.Random(1)
    towns = [(chance.uniform(WEST, EAST), chance.uniform(SOUTH, NORTH)) for _ in range(TOWNS)]
    return Country(towns, [f"bench.region.{number}" for number in range(ROWS * COLUMNS)])


def _place(chance: random.Random, towns: Sequence[tuple[float, float]]) -> tuple[float, float]:
    if chance.random() < 1 / 3:
        return chance.uniform(WEST, EAST), chance.uniform(SOUTH, NORTH)
    lon, lat = chance.choice(towns)
    return chance.gauss(lon, 0.04), chance.gauss(lat, 0.025)


def _point(lon: float, lat: float) -> tuple[bytes, tuple[float, float, float, float]]:
    return struct.pack("<BIdd", 1, 1, lon, lat), (lon, lat, lon, lat)


def _line(places: Sequence[tuple[float, float]], *, area: bool) -> tuple[bytes, tuple[float, float, float, float]]:
    head = struct.pack("<BIII", 1, 3, 1, len(places)) if area else struct.pack("<BII", 1, 2, len(places))
    lons, lats = [place[0] for place in places], [place[1] for place in places]
    return head + b"".join(struct.pack("<dd", *place) for place in places), (min(lons), min(lats), max(lons), max(lats))


def nodes(layer: int, regions_layer: int, count: int = NODES) -> Iterator[Row]:
    """Make the rows, from id 1001 on. layer, regions_layer: numbers of the layers that created them."""
    chance, here = random.Random(2), country()
    for number in range(count):
        creator, name, cdk_id = layer, f"{_WORDS[number % 10]} {number // 10}", f"bench.all.{number}"
        kind = number % (count // 10_000 or 1)  # regions, areas and lines stand between the points
        place, turn = number // (count // 10_000 or 1), _place(chance, here.towns)
        if number < ROWS * COLUMNS:
            geom, box = _region(number)
            creator, name, cdk_id = regions_layer, f"Region {number}", here.regions[number]
        elif kind == 1 and place < AREAS:
            geom, box = _area(*turn)
        elif kind in (2, 3) and place < LINES // 2:
            geom, box = _line([(turn[0] + step * 0.002, turn[1] + chance.gauss(0, 0.001)) for step in range(12)], area=False)
        else:
            geom, box = _point(*turn)
        yield (1001 + number, cdk_id, str(number), name, "node", creator, *box, geom)


def _region(number: int) -> tuple[bytes, tuple[float, float, float, float]]:
    """A region with a coast: 2,000 corners between two circles, so that a box holds much that it does not."""
    chance = random.Random(number)
    lon = WEST + (EAST - WEST) * (number % COLUMNS + 0.5) / COLUMNS
    lat = SOUTH + (NORTH - SOUTH) * (number // COLUMNS + 0.5) / ROWS
    corners = [
        (lon + math.cos(turn) * wide, lat + math.sin(turn) * wide)
        for turn, wide in ((2 * math.pi * step / 2000, chance.uniform(0.38, 0.45)) for step in range(2000))
    ]
    return _line([*corners, corners[0]], area=True)


def _area(lon: float, lat: float) -> tuple[bytes, tuple[float, float, float, float]]:
    corners = [(lon, lat), (lon + 0.003, lat), (lon + 0.004, lat + 0.002), (lon, lat + 0.002), (lon, lat)]
    return _line(corners, area=True)


def records(layers: dict[str, int], count: int = NODES) -> Iterator[Row]:
    """What the layers say, in the order of the nodes."""
    for number in range(count):
        for name, share in SHARES.items():
            if number % share == share // 2:
                data = {"kind": f"k{number % 50}", "height": number % 300, "street": f"Street {number % 5000}", "open": number % 3 == 0}
                yield (1001 + number, layers[name], json.dumps(data))


def _layers() -> list[Row]:
    return [(name, "civic.bench", "o", f"One node of {share:,}.", "", "", "[]", False, "") for name, share in SHARES.items()]


def fill(url: str, count: int = NODES) -> None:
    """Write it all into a migrated store, and let the store learn what it holds."""
    if url.startswith("sqlite:///"):
        _sqlite(url.removeprefix("sqlite:///"), count)
    else:
        _postgresql(url, count)


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _sqlite(path: str, count: int) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size=-200000")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_insert("layers", _LAYER), _layers())
        layers: dict[str, int] = dict(connection.execute("SELECT name, id FROM layers").fetchall())
        connection.executemany(_insert("nodes", _NODE), nodes(layers["bench.all"], layers["admr"], count))
        connection.executemany(_insert("records", _RECORD), records(layers, count))
        connection.execute(_BOXES)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _postgresql(url: str, count: int) -> None:
    with psycopg.connect(url) as connection:
        connection.cursor().executemany(_insert("layers", _LAYER).replace("?", "%s"), _layers())
        layers: dict[str, int] = dict(connection.execute("SELECT name, id FROM layers").fetchall())
        _copy(connection, "nodes", _NODE, nodes(layers["bench.all"], layers["admr"], count))
        _copy(connection, "records", _RECORD, records(layers, count))
        connection.execute(_BOXES)
        connection.execute(f"SELECT setval(pg_get_serial_sequence('nodes', 'id'), {1001 + count})")
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE) nodes")
        connection.execute("VACUUM (ANALYZE) records")


def _copy(connection: psycopg.Connection[Any], table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
