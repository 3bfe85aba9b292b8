"""A database with the gateway's tables, on each store; and the parts of a worker, on SQLite."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.gateway.settings import Settings
from services.gateway.stores import analytics, audit, definitions, events, hooks, keys, operators, quota
from services.gateway.stores.base import metadata
from services.gateway.wiring import Gateway
from tests.support.stores import PostgreSQL, Prepare, SQLite

TABLES = (analytics, audit, operators, definitions, events, hooks, keys, quota)  # they describe themselves when they are imported


@functools.cache
def _creating(tables: frozenset[str]) -> Prepare:
    """Return what creates all tables. tables: their names, so that more of them are another state."""

    def create(url: str) -> None:
        database = CoreDatabase(url)
        metadata.create_all(database.engine)
        database.dispose()

    return create


@pytest.fixture
def database(database_url: str, request: pytest.FixtureRequest) -> Iterator[CoreDatabase]:
    store: SQLite | PostgreSQL = request.getfixturevalue("sqlite" if database_url.startswith("sqlite") else "postgresql")
    store.fill(database_url, _creating(frozenset(metadata.tables)))
    database = CoreDatabase(database_url)
    yield database
    database.dispose()


@pytest.fixture
def gateway(sqlite_url: str, tmp_path: Path) -> Gateway:
    migrate("gateway", sqlite_url)
    settings = Settings(
        database_url=sqlite_url,
        operator_key="operator-key-of-the-test",
        master_key_path=tmp_path / "master.key",
        definitions=tmp_path / "none",
        access_log=str(tmp_path / "access.log"),
    )
    return Gateway(settings)


@pytest.fixture
def wait_for_of_3_12(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `asyncio.wait_for` ask for a current task, as from Python 3.12 on: a driven coroutine has none (wire/driving.py)."""
    wait_for = asyncio.wait_for

    async def strict(*what: Any, **how: Any) -> Any:
        if asyncio.current_task() is None:
            raise RuntimeError("Timeout should be used inside a task")
        return await wait_for(*what, **how)

    monkeypatch.setattr(asyncio, "wait_for", strict)
