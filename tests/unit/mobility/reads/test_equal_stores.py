"""The same data on SQLite, PostgreSQL and PostgreSQL with PostGIS gives the same answers, byte for byte."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import shapely
import sqlalchemy as sa

from services.mobility.models import Layer, Member, Node, Record
from tests.support.applications import Applications
from tests.support.fake_auth import FakeAuth
from tests.support.postgis import programs
from tests.support.stores import PostgreSQL, Prepare, SQLite
from tests.unit.mobility.conftest import API, making

NODES = 400
LAYERS = ("a.rail", "b.poi", "osm", "admr", "c.one", "c.two", "d.few")
NAMES = (
    None, "", "Station", "STATION NORD", "station süd", "Straße", "STRASSE", "École", "ÉCOLE", "école du Nord", "İstanbul", "ISTANBUL",
    "ıstanbul", "Σίσυφος", "ΣΊΣΥΦΟΣ", "100 %", "a_b", "a\\b", "K\u212a", "東京駅", "Zug  Nr 7", "ﬁn", "Café", "Cafe\u0301", "o'Neill",
)  # fmt: skip
VALUES = ("x", "X", "", "1", "true", "null", "é", 'q"', "a,b", "a|b", 1, 10, 1.0, 0.1, 1e20, 1e-7, -0.0, 2**53 + 1, True, False, None)
KEYS = ("kind", "a b", "é", "x.y", 'q"', "K", "naam-lang", "$", "0")
CENTRES = ((4.9, 52.4), (179.99, -17.0), (-179.99, -17.0), (25.0, 89.99), (-130.0, -89.99), (0.0, 0.0), (4.9, 52.4))
AREAS = ("area.world", "area.big", "area.line", "area.point", "area.dateline", "area.many", "n46419880", "area.small")

pytestmark = pytest.mark.slow  # it starts every server that there is


@pytest.fixture(scope="module")
def stores(
    request: pytest.FixtureRequest,
    apps: Applications,
    sqlite: SQLite,
    postgresql: PostgreSQL,
    prepare_database: Prepare | None,
    house: FakeAuth,
) -> Iterator[dict[str, API]]:
    """Applications on each store, with the same data. PostGIS is there where the machine has it."""
    servers: dict[str, Any] = {"SQLite": sqlite, "PostgreSQL": postgresql}
    if programs() is not None:
        servers["PostGIS"] = request.getfixturevalue("postgis")
    with contextlib.ExitStack() as stack:
        found = {}
        for name, server in servers.items():
            url = server.new_database(prepare_database)
            stack.callback(server.drop, url)
            found[name] = stack.enter_context(making(apps, url, house))()
            fill(found[name], random.Random(20))
        yield found


def place(chance: random.Random) -> tuple[float, float]:
    """Somewhere; often near a centre, often exactly where another one is."""
    if chance.random() < 0.1:
        return round(chance.uniform(-180, 180), 6), round(chance.uniform(-90, 90), 6)
    lon, lat = chance.choice(CENTRES)
    step = chance.choice((0.001, 0.01, 0.3))
    lon, lat = lon + chance.randrange(-9, 10) * step, lat + chance.randrange(-9, 10) * step
    return (lon + 180) % 360 - 180, max(-90.0, min(90.0, lat))


def shape(chance: random.Random) -> Any:
    """A point mostly; a line, an area or several."""
    lon, lat = place(chance)
    kind = chance.random()
    if kind < 0.7:
        return shapely.Point(lon, lat)
    size = chance.choice((0.001, 0.02, 1.0))
    lon, lat = min(lon, 180 - size), min(lat, 90 - size)
    if kind < 0.85:
        return shapely.LineString([(lon, lat), (lon + size / 2, lat + size), (lon + size, lat)])
    area = shapely.Polygon([(lon, lat), (lon + size, lat), (lon + size, lat + size), (lon, lat + size / 2)])
    if kind < 0.95:
        return area
    other = shapely.Point(place(chance)).buffer(0.0001, quad_segs=2)
    return shapely.MultiPolygon([area, other]) if shapely.bounds(other)[3] < 90 and not other.intersects(area) else area


def areas() -> dict[str, Any]:
    """Nodes whose areas are asked for."""
    return {
        "area.world": shapely.box(-180, -90, 180, 90),
        "area.big": shapely.Polygon([(3, 50), (8, 51), (7, 55), (2, 54), (5, 52.4)]),
        "area.small": shapely.box(4.9, 52.4, 4.903, 52.403),
        "area.line": shapely.LineString([(4.8, 52.3), (4.9, 52.4), (5.0, 52.41)]),
        "area.point": shapely.Point(4.9, 52.4),
        "area.dateline": shapely.MultiPolygon([shapely.box(179, -20, 180, -10), shapely.box(-180, -20, -179, -10)]),
        "area.many": shapely.MultiPolygon([shapely.box(-1, -1, 0.003, 0.003), shapely.box(4.89, 52.39, 4.91, 52.401)]),
    }


def fill(api: API, chance: random.Random) -> None:
    """Write layers, nodes, members and records, chosen by chance."""
    with api.parts.database.transaction() as session:
        for name in LAYERS:
            if session.scalar(sa.select(Layer.id).where(Layer.name == name)) is None:
                session.add(layer(name))
        session.flush()
        layers = {found.name: found.id for found in session.scalars(sa.select(Layer))}
        shapes = {**areas(), **{cdk_id(number, chance): shape(chance) for number in range(NODES)}}
        nodes = [node(1000 + place, key, one, layers, chance) for place, (key, one) in enumerate(shapes.items())]
        session.execute(sa.insert(Node), nodes)
        session.execute(sa.insert(Member), members(nodes, chance))
        session.execute(sa.insert(Record), [one for made in nodes for one in records(made["id"], layers, chance)])


def layer(name: str) -> Layer:
    texts = {"category": "mobility.x", "organization": "o", "description": "d", "owner_id": "a", "owner": "a@example.org", "status": ""}
    return Layer(name=name, data_sources=[], realtime=False, **texts)


def cdk_id(number: int, chance: random.Random) -> str:
    """One whose order depends on who orders: people leave out dots, and do not tell capitals apart until the end."""
    letters = "".join(chance.choice(("a", "B", "b", "_", ".", "A", "z", "0")) for _ in range(3))
    return f"{letters}{number}"


def node(number: int, key: str, one: Any, layers: dict[str, int], chance: random.Random) -> dict[str, Any]:
    west, south, east, north = shapely.bounds(one).tolist()
    return {
        "id": number,
        "cdk_id": key,
        "name": chance.choice(NAMES),
        "node_type": chance.choices(("node", "route", "ptstop", "ptline"), (6, 1, 2, 1))[0],
        "layer_id": chance.choice((None, *layers.values())),
        "modalities": chance.choice((None, 1, 3, 4)),
        "min_lon": west,
        "min_lat": south,
        "max_lon": east,
        "max_lat": north,
        "geom": shapely.to_wkb(one, byte_order=1),
    }


def members(nodes: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    """Let routes go through a few nodes, so that many have one in common."""
    usual = [one["id"] for one in nodes[100:112]]
    routes = [one["id"] for one in nodes if one["node_type"] in ("route", "ptline")]
    return [
        {"route_id": route, "position": position, "node_id": chance.choice(usual)}
        for route in routes
        for position in range(chance.randrange(2, 5))
    ]


def records(node_id: int, layers: dict[str, int], chance: random.Random) -> Iterator[dict[str, Any]]:
    for name, number in layers.items():
        if chance.random() < (0.01 if name == "d.few" else 0.3):
            data = {key: chance.choice(VALUES) for key in chance.sample(KEYS, 3)}
            yield {"node_id": node_id, "layer_id": number, "data": data, "modalities": chance.choice((None, 0, 5))}


# What is asked.


def question(chance: random.Random, known: list[str]) -> tuple[str, dict[str, str]]:
    """Choose a list and some of its parameters."""
    query: dict[str, str] = {}
    for chosen, share in ((near, 0.4), (box, 0.25), (of_layers, 0.4), (filters, 0.3), (named, 0.25), (through, 0.1), (paged, 0.7)):
        if chance.random() < share:
            query |= chosen(chance, known)
    kind = chance.choices(("nodes", "routes", "ptstops", "ptlines", "regions"), (6, 1, 1, 1, 1))[0]
    within = f"/{chance.choice(AREAS)}" if chance.random() < 0.3 else ""
    return f"{within}/{kind}", query


def near(chance: random.Random, _: list[str]) -> dict[str, str]:
    lon, lat = chance.choice((place(chance), (0.0, 90.0), (180.0, -17.0), (-180.0, 0.0), (4.9, 52.4)))
    at = {"lon": str(lon), "lat": str(lat)}
    return at if chance.random() < 0.5 else {**at, "radius": chance.choice(("0", "0.5", "120", "5000", "100000", "5e6", "3e7"))}


def box(chance: random.Random, _: list[str]) -> dict[str, str]:
    """One whose sides are often exactly those of nodes."""
    (west, south), (east, north) = place(chance), place(chance)
    if chance.random() < 0.8:
        west, east = min(west, east), max(west, east)  # else it may cross the date line
    return {"bbox": f"{max(south, north)},{west},{min(south, north)},{east}"}


def of_layers(chance: random.Random, _: list[str]) -> dict[str, str]:
    return {"layer": chance.choice((*LAYERS, "a.rail,b.poi", "c.one|c.two", "c.*", "*", "d.few,osm", "no.such", "d.few|no.such"))}


def filters(chance: random.Random, _: list[str]) -> dict[str, str]:
    found = {"data_op": "or"} if chance.random() < 0.5 else {}
    for _number in range(chance.choice((1, 1, 2))):
        value = chance.choice(VALUES)
        text = value if isinstance(value, str) else json.dumps(value)
        found[f"{chance.choice(LAYERS)}::{chance.choice(KEYS)}"] = text if chance.random() < 0.7 else ""
    return found


def named(chance: random.Random, _: list[str]) -> dict[str, str]:
    name = chance.choice([name for name in NAMES if name])
    start = chance.randrange(len(name))
    text = chance.choice((name, name.upper(), name.lower(), name[start : start + 3], "%", "_", "st", "ST"))
    return {"name": text, **({"trigrams": ""} if chance.random() < 0.4 else {})}


def through(chance: random.Random, known: list[str]) -> dict[str, str]:
    return {chance.choice(("starts_in", "ends_in", "contains")): chance.choice(known[100:112])}


def paged(chance: random.Random, _: list[str]) -> dict[str, str]:
    some = {"per_page": str(chance.choice((1, 5, 20, 20, 100))), "page": str(chance.choice((1, 1, 2, 9)))}
    for flag in ("count", "geom"):
        if chance.random() < 0.4:
            some[flag] = ""
    if chance.random() < 0.2:
        some["format"] = "geojson"
    if chance.random() < 0.1:
        some["modality"] = chance.choice(("tram", "tram|bus", "rail"))
    return some


def same(stores: dict[str, API], path: str, query: dict[str, str]) -> bool:
    """Check that the answers are the same; return whether they show a node."""
    answers = {name: api.get(path, **query) for name, api in stores.items()}
    first = answers.pop("SQLite")
    assert first.status_code in (200, 422), (path, query, first.text)
    for name, answer in answers.items():
        assert (answer.status_code, answer.text) == (first.status_code, first.text), (name, path, query)
    return '"cdk_id"' in first.text


def test_the_stores_give_the_same_answers(stores: dict[str, API]) -> None:
    chance = random.Random(0)
    with stores["SQLite"].parts.database.read() as session:
        known = list(session.scalars(sa.select(Node.cdk_id).where(Node.id >= 1000).order_by(Node.id)))
    assert sum(same(stores, *question(chance, known)) for _ in range(30)) >= 8  # else it compares nothing


def test_the_stores_fold_the_same_letters(stores: dict[str, API]) -> None:
    """Capitals are folded by the code: each server would do it in a way of its own, and SQLite only for ASCII."""
    sought = {text for name in NAMES if name and not name.isascii() for text in (name.upper(), name.lower())}
    assert sum(same(stores, "/nodes", {"name": text, "per_page": "3", "count": ""}) for text in sorted(sought)) >= 20
