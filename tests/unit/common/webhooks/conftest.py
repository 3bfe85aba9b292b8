"""An outbox on both databases, with names of its service's own, and a receiver of webhooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from services.common.core_database import CoreDatabase
from services.common.webhooks.outbox import Call
from services.common.webhooks.store import StoredOutbox
from tests.support.stores import Prepare
from tests.support.webhook_receiver import Receiver, receiving
from tests.unit.common.webhooks.example_tables import METADATA, TABLES


def _create_tables(url: str) -> None:
    database = CoreDatabase(url)
    METADATA.create_all(database.engine)
    database.dispose()


@pytest.fixture(scope="session")
def prepare_database() -> Prepare:
    return _create_tables


@pytest.fixture
def outbox(database_url: str) -> Iterator[StoredOutbox]:
    database = CoreDatabase(database_url)
    yield StoredOutbox(database, TABLES)
    database.dispose()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def make_call() -> Callable[..., Call]:
    def make(number: int = 1, url: str = "http://receiver.example/hook", told_for: float = 0.0, **changed: object) -> Call:
        values: dict[str, object] = {
            "id": f"msg_{number}",
            "hook_id": "hook",
            "lane": "/".join(url.split("/")[:3]),
            "event": "QuotaExceeded",
            "subject": "api",
            "method": "POST",
            "url": url,
            "headers": (("X-One", "1"),),
            "body": '{"event": "QuotaExceeded"}',
            "mark": ("hook", "QuotaExceeded", "api", "key", "/path"),
            "told_for": told_for,
        }
        return Call(**{**values, **changed})  # type: ignore[arg-type]

    return make
