"""The stores of analytics on a migrated database: on PostgreSQL the table of roll-ups has partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.gateway.analytics.record import Record
from services.gateway.analytics.rollups import Names, roll_up
from services.gateway.stores.activity import ActivityStore
from services.gateway.stores.analytics import AnalyticsStore
from tests.unit.gateway.analytics.making import batch


@pytest.fixture
def database(database_url: str) -> Iterator[CoreDatabase]:
    migrate("gateway", database_url)
    database = CoreDatabase(database_url)
    yield database
    database.dispose()


@pytest.fixture
def store(database: CoreDatabase) -> AnalyticsStore:
    return AnalyticsStore(database)


@pytest.fixture
def seen(database: CoreDatabase) -> ActivityStore:
    return ActivityStore(database, recording=True)


@pytest.fixture
def write(store: AnalyticsStore) -> Callable[..., None]:
    names = Names()

    def write(*records: Record) -> None:
        store.write(batch(), records, roll_up(records, names))

    return write
