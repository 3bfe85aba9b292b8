"""What takes too long is ended by the store, and said so."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from services.devices.data.store import reading
from services.devices.data.store.reading import TooSlow, bounded
from tests.unit.devices.conftest import API, refused

_LONG = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT sum(i) FROM n",
    "postgresql": "SELECT pg_sleep(10)",
}


def test_a_statement_that_takes_too_long_is_ended(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_S", 0.01)
    database = api.parts.database
    with database.read() as session:
        if database.dialect == "postgresql":
            session.execute(sa.text("SET LOCAL statement_timeout = 10"))
        with pytest.raises(TooSlow), bounded(session):
            session.execute(sa.text(_LONG[database.dialect]))
    with database.read() as session, bounded(session):
        assert session.scalar(sa.text("SELECT 1")) == 1, "the connection works on"


def test_the_client_hears_what_to_do(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise TooSlow

    device = api.device()
    assert api.post("/data", {"variable": "a"}, device.token).status_code == 200
    monkeypatch.setattr(reading, "each", slow)
    for method in ("GET", "DELETE"):
        answer = api.send(method, "/data?variables=a", device.token)
        refused(answer, 400, "The query takes too long; narrow it by variables, start_date and end_date")
    assert api.parts.database.guard.reads._breaker._open_since is None, "the store counts as there"
