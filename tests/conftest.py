"""Fixtures for every test: `database_url` on both stores, `postgresql`, `valkey`, `valkey_url`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stores import PostgreSQL, Valkey


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A real PostgreSQL, started when the first test asks for it."""
    server = PostgreSQL()
    yield server
    server.close()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.close()


@pytest.fixture
def valkey(valkey_server: Valkey) -> Valkey:
    """A real Valkey, empty."""
    valkey_server.client.flushall()
    return valkey_server


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """An empty PostgreSQL database."""
    url = postgresql.new_database()
    yield url
    postgresql.drop(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind: the test runs on both."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
