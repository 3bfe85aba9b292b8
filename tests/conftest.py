"""Fixtures for every test: `database_url` on both stores, `postgresql`, `postgis`, `valkey`; `prepare_database`: what they hold."""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgis import ABSENT, PostGIS, programs
from tests.support.stores import PostgreSQL, Prepare, SQLite, Valkey
from tests.support.valkey_cluster import Cluster, cluster

# By itself Hypothesis fails what took more than 200 ms once, as anything does on a machine that is busy.
settings.register_profile("whatever the speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whatever the speed")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What collecting makes stays to the end. The garbage collector looking through it again and again is a third of the time of a run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    """A folder or a file of tests overrides this: what to do with an empty database, once a process; its tests then get copies of that."""
    return None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A real PostgreSQL, started when the first test asks for it."""
    server = PostgreSQL()
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgis() -> Iterator[PostGIS]:
    """A PostgreSQL with PostGIS, where the machine has one; else what asks for it is skipped."""
    if programs() is None:
        pytest.skip(ABSENT)
    server = PostGIS()
    yield server
    server.close()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.close()


@pytest.fixture(scope="session")
def valkey_nodes() -> Iterator[Cluster]:
    with cluster(3) as running:
        yield running


@pytest.fixture
def valkey_cluster(valkey_nodes: Cluster) -> Cluster:
    """Three nodes that hold nothing."""
    for node in valkey_nodes.nodes:
        node.client.flushall()
    return valkey_nodes


@pytest.fixture
def valkey(valkey_server: Valkey) -> Valkey:
    """A real Valkey, empty."""
    valkey_server.client.flushall()
    return valkey_server


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL, prepare_database: Prepare | None) -> Iterator[str]:
    """A PostgreSQL database of the test's own, empty or as `prepare_database` leaves it."""
    url = postgresql.new_database(prepare_database)
    yield url
    postgresql.drop(url)


@pytest.fixture
def postgis_url(postgis: PostGIS, prepare_database: Prepare | None) -> Iterator[str]:
    """A database with PostGIS of the test's own, empty or as `prepare_database` leaves it."""
    url = postgis.new_database(prepare_database)
    yield url
    postgis.drop(url)


@pytest.fixture(scope="session")
def sqlite() -> Iterator[SQLite]:
    files = SQLite()
    yield files
    files.close()


@pytest.fixture
def sqlite_url(sqlite: SQLite, prepare_database: Prepare | None) -> Iterator[str]:
    """A file of the test's own, not there yet or as `prepare_database` leaves it."""
    url = sqlite.new_database(prepare_database)
    yield url
    sqlite.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database of each kind: the test runs on both."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def log_restored() -> Iterator[None]:
    """For a test that configures logging: the tests after it log as before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
