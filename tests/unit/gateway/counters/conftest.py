"""How long the counters wait for Valkey in a test."""

from __future__ import annotations

import pytest

from services.gateway.counters import resp

PATIENCE_S = resp.ANSWER_S


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a healthy server, too, may answer later than it may in production; requests would then pass uncounted."""
    monkeypatch.setattr(resp, "ANSWER_S", 20.0)
    monkeypatch.setattr(resp, "CONNECT_S", 20.0)


@pytest.fixture
def impatient(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production, for tests of a server that does not answer."""
    monkeypatch.setattr(resp, "ANSWER_S", PATIENCE_S)
