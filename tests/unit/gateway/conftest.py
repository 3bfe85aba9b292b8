"""A database with the gateway's tables, on each store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.common.core_database import CoreDatabase
from services.gateway.stores import definitions, events, hooks, keys, quota
from services.gateway.stores.base import metadata

TABLES = (definitions, events, hooks, keys, quota)  # they describe themselves when they are imported


@pytest.fixture
def database(database_url: str) -> Iterator[CoreDatabase]:
    database = CoreDatabase(database_url)
    metadata.create_all(database.engine)
    yield database
    database.dispose()
