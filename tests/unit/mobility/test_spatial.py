"""How each store finds the nodes in boxes, and PostGIS's index."""

from __future__ import annotations

import contextlib
import json
import random
import struct
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from services.common.database import Database
from services.common.migrations import migrate
from services.mobility import spatial, spatial_index
from services.mobility.cli import program
from services.mobility.geometry.boxes import Box
from services.mobility.models import Node, db
from tests.support.postgis import PostGIS

STORES = ("sqlite_url", "postgresql_url", "postgis_url")
SURE = 1e-4  # degrees; nearer to an edge an index may find a node or not: SQLite's and PostGIS's numbers have 32 bits


@contextlib.contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database(db, url)
    try:
        yield database
    finally:
        database.dispose()


def box(chance: random.Random, size: float) -> Box:
    west, south = chance.uniform(-180, 180 - size), chance.uniform(-90, 90 - size)
    return Box(west, south, west + size * chance.random(), south + size * chance.random())


def node(number: int, at: Box) -> Node:
    wide = ((at.west, at.south), (at.east, at.north))
    geom = struct.pack("<BIIdddd", 1, 2, 2, *wide[0], *wide[1])  # WKB: a line
    return Node(
        id=number,
        cdk_id=f"n{number}",
        node_type="node",
        min_lon=at.west,
        min_lat=at.south,
        max_lon=at.east,
        max_lat=at.north,
        geom=geom,
    )


def apart(one: Box, other: Box, by: float) -> bool:
    """Say whether two boxes are farther apart than so many degrees; negative: they do not share so much."""
    east_or_west = one.east + by < other.west or other.east + by < one.west
    return east_or_west or one.north + by < other.south or other.north + by < one.south


@pytest.mark.parametrize("store", STORES)
def test_a_store_finds_what_meets_boxes(store: str, request: pytest.FixtureRequest) -> None:
    chance = random.Random(7)
    places = {number: box(chance, 30) for number in range(100, 300)}
    with opened(request.getfixturevalue(store)) as database:
        with database.transaction() as session:
            session.add_all(node(number, place) for number, place in places.items())
        for asked in ([box(chance, 60)], [box(chance, 60), box(chance, 20)], [Box(-180, -90, 180, 90)], [box(chance, 0.001)], []):
            with database.read() as session:
                mine = sa.select(Node.id).where(spatial.overlapping(session, asked), Node.id >= 100)
                found = list(session.scalars(mine.order_by(Node.id)))
                every, three = spatial.some(session, asked, 1000), spatial.some(session, asked, 3)
            sure = {number for number, place in places.items() if any(not apart(place, one, -SURE) for one in asked)}
            possible = {number for number, place in places.items() if any(not apart(place, one, SURE) for one in asked)}
            assert sure <= set(found) <= possible, asked
            assert {number for number in every if number >= 100} == set(found)
            assert three <= every
            assert len(three) == min(3, len(every))


def plan(database: Database, condition: sa.ColumnElement[bool]) -> str:
    with database.read() as session:
        statement = sa.select(Node.id).where(condition).order_by(Node.id).limit(11)
        text = statement.compile(dialect=session.get_bind().dialect, compile_kwargs={"literal_binds": True})
        return "\n".join(session.scalars(sa.text(f"EXPLAIN {text}".replace(":", "\\:"))))


def test_postgis_knows_how_many_nodes_a_box_holds(postgis_url: str) -> None:
    """So that the first ten of a small box come through the index, and those of a large one in the order of the table."""
    with opened(postgis_url) as database:
        with database.transaction() as session:
            chance = random.Random(3)
            session.execute(
                sa.insert(Node),
                [
                    {
                        "cdk_id": f"n{number}",
                        "node_type": "node",
                        "min_lon": lon,
                        "min_lat": lat,
                        "max_lon": lon,
                        "max_lat": lat,
                        "geom": struct.pack("<BIdd", 1, 1, lon, lat),
                    }
                    for number, (lon, lat) in enumerate((chance.uniform(0, 9), chance.uniform(0, 9)) for _ in range(3000))
                ],
            )
        with database.transaction() as session:
            session.execute(sa.text("ANALYZE nodes"))
        with database.read() as session:
            small, large = (spatial.overlapping(session, [Box(1, 1, side, side)]) for side in (1.05, 8))
        assert "ix_nodes_geom" in plan(database, small)
        assert "pk_nodes" in plan(database, large)


def test_the_index_of_postgis_is_asked_for_once_a_minute(postgis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    with opened(postgis_url) as database:
        sa.event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]) if "pg_index" in given[2] else None)
        for _ in range(3):
            with database.read() as session:
                assert spatial.has_postgis(session)
        assert len(asked) == 1
        spatial_index.drop(postgis_url)
        monkeypatch.setattr(spatial, "LOOKED_UP_S", -1)
        with database.read() as session:
            assert not spatial.has_postgis(session)
            assert session.scalars(sa.select(Node.cdk_id).where(spatial.overlapping(session, [Box(4, 52, 5, 53)]))).all() == ["n46419880"]


def test_without_the_extension_there_is_no_index_of_it(postgresql_url: str) -> None:
    with opened(postgresql_url) as database, database.read() as session:
        assert not spatial.has_postgis(session)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on a database: its exit status and what it prints."""

    def run(url: str, *arguments: str) -> tuple[int, str]:
        monkeypatch.setenv("MOBILITY_DATABASE_URL", url)
        done = CliRunner().invoke(program, ["spatial-index", *arguments], prog_name="cli")
        return done.exit_code, done.output

    return run


def test_the_command_makes_the_index_when_postgis_comes_later(postgis: PostGIS, run: Run) -> None:
    url = postgis.new_database()
    with opened(url) as database, database.engine.begin() as connection:
        connection.exec_driver_sql("DROP EXTENSION postgis")
    migrate("mobility", url)
    assert run(url) == (1, "Error: the database has no PostGIS; a superuser adds it there: CREATE EXTENSION postgis\n")
    with opened(url) as database, database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE EXTENSION postgis")
    assert run(url) == (0, "creating the index; the service may run meanwhile\nix_nodes_geom is made\n")
    assert run(url) == (0, "ix_nodes_geom is there\n")
    with opened(url) as database:
        with database.engine.begin() as connection:  # as a run leaves it that was ended half-way
            connection.exec_driver_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_nodes_geom'::regclass")
        with database.read() as session:
            assert not spatial.has_postgis(session)
    status, text = run(url, "--json")
    assert (status, json.loads(text.partition("\n")[2])) == (0, {"index": "ix_nodes_geom", "changed": True})
    assert run(url, "--drop") == (0, "ix_nodes_geom is dropped\n")
    assert run(url, "--drop") == (0, "there is no ix_nodes_geom\n")
    postgis.drop(url)


def test_the_command_refuses_sqlite(sqlite_url: str, run: Run) -> None:
    status, text = run(sqlite_url)
    assert (status, "R*Tree" in text) == (1, True)
