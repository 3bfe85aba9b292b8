"""The ledger in the database, and how long the counters wait for Valkey in a test."""

from __future__ import annotations

import pytest

from services.common.core_database import CoreDatabase
from services.gateway.counters import resp
from services.gateway.stores.quota import QuotaLedger

PATIENCE_S = resp.ANSWER_S


@pytest.fixture
def ledger(database: CoreDatabase) -> QuotaLedger:
    return QuotaLedger(database)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a healthy server, too, may answer later than it may in production; requests would then pass uncounted."""
    monkeypatch.setattr(resp, "ANSWER_S", 20.0)
    monkeypatch.setattr(resp, "CONNECT_S", 20.0)


@pytest.fixture
def impatient(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production, for tests of a server that does not answer."""
    monkeypatch.setattr(resp, "ANSWER_S", PATIENCE_S)
