"""The gateway's outbox on both databases, and a receiver of webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.common.core_database import CoreDatabase
from services.gateway.stores.events import Outbox
from tests.support.webhook_receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def outbox(database: CoreDatabase) -> Outbox:
    return Outbox(database)
