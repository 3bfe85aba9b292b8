"""What clients ask of mobility's data, and the same in SQL: the peer of a read is its bare query on the same store.

The queries are the plainest that answer: they rank by degrees where the service measures metres, and test boxes where it tests shapes.
"""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.measure.nodes import EAST, NORTH, SOUTH, WEST, Country

ROWS = "n.id, n.cdk_id, n.name, n.geom"
_GEOMETRY = "ST_GeomFromWKB(n.geom, 4326)"
_BOX = "box(point(n.min_lon, n.min_lat), point(n.max_lon, n.max_lat))"
_RTREE = "(SELECT id FROM nodes_boxes WHERE max_lon >= :west AND min_lon <= :east AND max_lat >= :south AND min_lat <= :north)"
# a box, by the store
_IN_BOX = {
    "sqlite": f"n.id IN {_RTREE}",
    "postgresql": f"{_BOX} && box(point(:west, :south), point(:east, :north))",
    "postgis": f"{_GEOMETRY} && ST_MakeEnvelope(:west, :south, :east, :north, 4326)",
}
_NEAREST = {
    "sqlite": "(n.min_lon - :lon) * (n.min_lon - :lon) + (n.min_lat - :lat) * (n.min_lat - :lat)",
    "postgresql": f"{_BOX} <-> point(:lon, :lat)",
    "postgis": f"{_GEOMETRY} <-> ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)",
}


@dataclass(frozen=True)
class Question:
    """ask: of chance and the country, the path with its query and what `bare` needs. bare: SQL, by the store."""

    name: str
    ask: Callable[[random.Random, Country], tuple[str, dict[str, Any]]]
    bare: Mapping[str, str]


def _all(text: str, **by_store: Mapping[str, str]) -> dict[str, str]:
    """The SQL of each store. by_store: what differs, by the name that stands in the text."""
    return {
        store: text.format(rows=ROWS, **{name: forms[store] for name, forms in by_store.items()})
        for store in ("sqlite", "postgresql", "postgis")
    }


def _path(path: str, **query: Any) -> str:
    return f"{path}?{urllib.parse.urlencode(query)}" if query else path


def _at(chance: random.Random, country: Country, path: str = "/nodes", wide: float = 0.01, **more: Any) -> tuple[str, dict[str, Any]]:
    """Ask around a place. wide: degrees, that the bare query looks around where no index ranks."""
    lon, lat = country.place(chance)
    sides = {"west": lon - wide, "east": lon + wide, "south": lat - wide, "north": lat + wide}
    return _path(path, lat=f"{lat:.6f}", lon=f"{lon:.6f}", **more), {"lon": lon, "lat": lat, **sides}


def _box(west: float, south: float, east: float, north: float, **more: Any) -> tuple[str, dict[str, Any]]:
    sides = {"west": west, "south": south, "east": east, "north": north}
    return _path("/nodes", bbox=f"{north:.5f},{west:.5f},{south:.5f},{east:.5f}", **more), sides


def _town(chance: random.Random, country: Country) -> tuple[str, dict[str, Any]]:
    lon, lat = chance.choice(country.towns)
    return _box(lon - 0.06, lat - 0.04, lon + 0.06, lat + 0.04)


def _street(chance: random.Random, country: Country) -> tuple[str, dict[str, Any]]:
    lon, lat = country.place(chance)
    return _box(lon - 0.003, lat - 0.002, lon + 0.003, lat + 0.002)


def _region(chance: random.Random, country: Country, **more: Any) -> tuple[str, dict[str, Any]]:
    number = chance.randrange(len(country.regions))
    lon, lat = WEST + (EAST - WEST) * (number % 4 + 0.5) / 4, SOUTH + (NORTH - SOUTH) * (number // 4 + 0.5) / 3
    sides = {"west": lon - 0.45, "east": lon + 0.45, "south": lat - 0.45, "north": lat + 0.45}
    return _path(f"/{country.regions[number]}/nodes", **more), sides


def _page(chance: random.Random, _: Country) -> tuple[str, dict[str, Any]]:
    page = chance.randrange(1, 100)
    return _path("/nodes", layer="bench.all", page=page), {"layer": "bench.all", "offset": (page - 1) * 10}


_WITH_LAYER = "SELECT {rows} FROM records r JOIN nodes n ON n.id = r.node_id WHERE r.layer_id = (SELECT id FROM layers WHERE name = :layer)"
_NEAR_LAYER = dict.fromkeys(_NEAREST, f"{_NEAREST['sqlite']}")  # few enough to be sorted

QUESTIONS = (
    Question(
        "nearest 10",
        lambda chance, country: _at(chance, country),
        {
            "sqlite": f"SELECT {ROWS} FROM nodes n WHERE {_IN_BOX['sqlite']} ORDER BY {_NEAREST['sqlite']} LIMIT 10",
            **{store: f"SELECT {ROWS} FROM nodes n ORDER BY {_NEAREST[store]} LIMIT 10" for store in ("postgresql", "postgis")},
        },
    ),
    Question(
        "radius 500 m",
        lambda chance, country: _at(chance, country, wide=0.0045, radius=500),
        _all("SELECT {rows} FROM nodes n WHERE {box} ORDER BY {rank} LIMIT 10", box=_IN_BOX, rank=_NEAR_LAYER),
    ),
    Question("box of a street", _street, _all("SELECT {rows} FROM nodes n WHERE {box} ORDER BY n.id LIMIT 10", box=_IN_BOX)),
    Question("box of a town", _town, _all("SELECT {rows} FROM nodes n WHERE {box} ORDER BY n.id LIMIT 10", box=_IN_BOX)),
    Question(
        "box of the country",
        lambda _chance, _country: _box(WEST - 1, SOUTH - 1, EAST + 1, NORTH + 1),
        _all("SELECT {rows} FROM nodes n WHERE {box} ORDER BY n.id LIMIT 10", box=_IN_BOX),
    ),
    Question(
        "all, some page of 100",
        lambda chance, _: (_path("/nodes", page=chance.randrange(1, 100)), {"offset": chance.randrange(1, 100) * 10}),
        _all("SELECT {rows} FROM nodes n ORDER BY n.id LIMIT 10 OFFSET :offset"),
    ),
    Question("layer, dense, some page", _page, _all(_WITH_LAYER + " ORDER BY r.node_id LIMIT 10 OFFSET :offset")),
    Question(
        "layer, 10 nodes",
        lambda _, country: (_path("/nodes", layer=country.sparse), {"layer": country.sparse}),
        _all(_WITH_LAYER + " ORDER BY r.node_id LIMIT 10"),
    ),
    Question(
        "layers, dense and 1,000",
        lambda _chance, _country: (_path("/nodes", layer="bench.all,bench.rare"), {"layer": "bench.rare", "other": "bench.all"}),
        _all(
            _WITH_LAYER + " AND EXISTS (SELECT 1 FROM records o WHERE o.node_id = r.node_id AND o.layer_id = (SELECT id FROM layers"
            " WHERE name = :other)) ORDER BY r.node_id LIMIT 10"
        ),
    ),
    Question(
        "nearest with data of 10 nodes",
        lambda chance, country: _with(_at(chance, country, layer=country.sparse), layer=country.sparse),
        _all(_WITH_LAYER + " ORDER BY {rank} LIMIT 10", rank=_NEAR_LAYER),
    ),
    Question(
        "nearest with data of 10,000",
        lambda chance, country: _with(_at(chance, country, layer="bench.hundredth"), layer="bench.hundredth"),
        _all(_WITH_LAYER + " ORDER BY {rank} LIMIT 10", rank=_NEAR_LAYER),
    ),
    Question(
        "in a region",
        lambda chance, country: _region(chance, country),
        _all("SELECT {rows} FROM nodes n WHERE {box} ORDER BY n.id LIMIT 10", box=_IN_BOX),
    ),
    Question(
        "in a region with data of 1,000",
        lambda chance, country: _with(_region(chance, country, layer="bench.rare"), layer="bench.rare"),
        _all(_WITH_LAYER + " AND {box} ORDER BY r.node_id LIMIT 10", box=_IN_BOX),
    ),
    Question(
        "key of 1 in 50 of 100,000",
        lambda chance, _: _filter("bench.tenth", "kind", f"k{chance.randrange(5) * 10 + 5}"),
        _all(_WITH_LAYER + " AND r.data ->> 'kind' = :value ORDER BY r.node_id LIMIT 10"),
    ),
    Question(
        "key of 200 of 1,000,000",
        lambda chance, _: _filter("bench.all", "street", f"Street {chance.randrange(5000)}"),
        _all(_WITH_LAYER + " AND r.data ->> 'street' = :value ORDER BY r.node_id LIMIT 10"),
    ),
    Question(
        "name, of 11 and more",
        lambda chance, _: _name(f"kerk {chance.randrange(1000, 99_999)}"),
        {
            "sqlite": f"SELECT {ROWS} FROM nodes n WHERE n.name LIKE :pattern ORDER BY n.id LIMIT 10",
            **dict.fromkeys(("postgresql", "postgis"), f"SELECT {ROWS} FROM nodes n WHERE n.name ILIKE :pattern ORDER BY n.id LIMIT 10"),
        },
    ),
    Question(
        "one node",
        lambda chance, _: _one(chance.randrange(200) * 100 + 50),
        _all("SELECT {rows}, r.data FROM nodes n JOIN records r ON r.node_id = n.id WHERE n.cdk_id = :cdk_id"),
    ),
)


def _with(asked: tuple[str, dict[str, Any]], **more: Any) -> tuple[str, dict[str, Any]]:
    return asked[0], {**asked[1], **more}


def _filter(layer: str, key: str, value: str) -> tuple[str, dict[str, Any]]:
    return _path("/nodes", **{f"{layer}::{key}": value}), {"layer": layer, "value": value}


def _name(text: str) -> tuple[str, dict[str, Any]]:
    return _path("/nodes", name=text), {"pattern": f"%{text}%"}


def _one(number: int) -> tuple[str, dict[str, Any]]:
    return f"/bench.all.{number}", {"cdk_id": f"bench.all.{number}"}


@contextlib.contextmanager
def bare(store: str, url: str) -> Iterator[Callable[[Question, Mapping[str, Any]], int]]:
    """Give a function that asks a question's bare query and returns the number of its rows."""
    if store == "sqlite":
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            yield lambda question, values: len(connection.execute(question.bare[store], values).fetchall())
        return
    with psycopg.connect(url, autocommit=True) as other:
        yield lambda question, values: len(other.execute(_named(question.bare[store]), values, prepare=False).fetchall())


def _named(text: str) -> str:
    """Write `:name` as psycopg does."""
    return re.sub(r"(?<![:\w]):([a-z_]+)", r"%(\1)s", text.replace("%", "%%"))
