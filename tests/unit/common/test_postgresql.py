"""PostgreSQL's side of the limits: a server that stops, is lost or is not there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

from services.common import postgresql, store_guard
from services.common.core_database import CoreDatabase, is_unavailable
from services.common.database import Conventions, Database, SQLAlchemy
from services.common.lookups import Lookups
from services.common.store_guard import ANSWER_S, Guard, StoreUnavailable, call
from tests.support.asking import add, read, succeeds
from tests.support.freezing import Pipe
from tests.support.waiting import wait_until


class Base(Conventions, DeclarativeBase):
    pass


ONE = sa.text("SELECT 1")


@pytest.fixture
def pipe(postgresql_url: str, tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(postgresql_url, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=[CoreDatabase, partial(Database, SQLAlchemy(Base))], ids=["core", "orm"])
def server(request: pytest.FixtureRequest, pipe: Pipe) -> Iterator[CoreDatabase]:
    """With and without the ORM: what these tests say to either is the same."""
    database: CoreDatabase = request.param(pipe.url, at_once=8)
    read(database)
    yield database
    pipe.thaw()
    database.dispose()


def test_the_server_has_limits_of_its_own(server: CoreDatabase) -> None:
    with server.read() as connection:
        found = [connection.scalar(sa.text(f"SHOW {name}")) for name in ("statement_timeout", "lock_timeout")]
    assert found == ["3s", "2s"]


def test_a_server_that_stops_in_the_middle_is_given_up(server: CoreDatabase, pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    with server.transaction() as connection:
        connection.execute(sa.text("CREATE TABLE things (id INTEGER)"))

    def work(connection: sa.Connection) -> None:
        add(connection)
        pipe.freeze()
        call.patience_s = 0.1
        add(connection)

    monkeypatch.setattr(store_guard, "PAUSE_S", 60.0)
    with pytest.raises(sa.exc.OperationalError, match=r"no answer for 0\.1 s") as refused:
        server.run(work)
    assert isinstance(refused.value.orig, postgresql.NoAnswer)
    assert refused.value.connection_invalidated
    assert is_unavailable(refused.value)
    for refusing in (lambda: read(server), lambda: server.run(add)):
        with pytest.raises(StoreUnavailable):
            refusing()
    pipe.thaw()
    server.guard.reads._breaker._next_try = 0.0
    with server.read() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM things")) == 0


@pytest.mark.slow
def test_a_kept_connection_to_a_stopped_server(server: CoreDatabase, pipe: Pipe) -> None:
    """The ping and a new connection together stay below the limit; a look-up, too, which asks twice."""
    lookups = Lookups(pipe.url, Guard(8, together=True))
    lookups.one(sa.select(sa.literal(1)), {})
    for ask in (lambda: read(server), lambda: lookups.one(sa.select(sa.literal(1)), {})):
        pipe.freeze()
        began = time.monotonic()
        with pytest.raises(sa.exc.OperationalError):
            ask()
        assert 1 < time.monotonic() - began < 5
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            ask()
        assert time.monotonic() - began < 0.2
        pipe.thaw()
        wait_until(lambda ask=ask: succeeds(ask), 10)  # type: ignore[misc]
    lookups.dispose()


def test_a_kept_connection_that_is_lost_costs_a_moment(server: CoreDatabase, pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this connection is silent: a new one is opened within the same call."""
    monkeypatch.setattr(store_guard, "FIRST_ANSWER_S", 0.0)
    waiting = psycopg.Connection.wait
    silent: list[object] = []

    def wait(self: Any, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        silent.append(self) if not silent else None
        if self is silent[0]:
            raise psycopg.OperationalError("wait timeout expired")
        return waiting(self, gen, interval, None if timeout is None else timeout + 2)

    monkeypatch.setattr(psycopg.Connection, "wait", wait)
    read(server)
    assert silent
    read(server)


@pytest.mark.parametrize("comes_late", [True, False])
def test_a_name_that_nobody_finds(pipe: Pipe, monkeypatch: pytest.MonkeyPatch, comes_late: bool) -> None:
    """The system may look for a name for half a minute; what is connected after all is closed again."""
    monkeypatch.setattr(postgresql, "CONNECT_S", 0.01)
    found, closed = threading.Event(), threading.Event()
    connecting = psycopg.Connection.connect.__func__  # type: ignore[attr-defined]

    def connect(kind: Any, *arguments: Any, **options: Any) -> Any:
        found.wait(30)
        if not comes_late:
            closed.set()
            raise psycopg.OperationalError("failed to resolve host")
        made = connecting(kind, *arguments, **options)
        closing = made.close

        def close() -> None:
            closing()
            closed.set()

        made.close = close
        return made

    monkeypatch.setattr(psycopg.Connection, "connect", classmethod(connect))
    database = CoreDatabase(pipe.url)
    with pytest.raises(sa.exc.OperationalError, match="no connection within") as refused:
        read(database)
    assert is_unavailable(refused.value)
    found.set()
    assert closed.wait(30)
    database.dispose()


def test_what_asks_nothing_tells_nothing(server: CoreDatabase) -> None:
    with server.engine.connect() as connection, server.guard.reads:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        call.silent()
        raw.autocommit = True
        raw.autocommit = False
        assert (call.heard, call.away) == (False, True)
        call.answered()


def test_what_a_server_refuses_is_an_answer(server: CoreDatabase) -> None:
    for _ in range(3):
        with pytest.raises(sa.exc.ProgrammingError):
            server.run(add)
    read(server)


def test_a_long_piece_of_work_may_be_silent_for_longer(server: CoreDatabase) -> None:
    asked = sa.text("SHOW statement_timeout")
    assert server.run(lambda connection: connection.scalar(asked), patience_s=60) == "1min"
    assert server.run(lambda connection: connection.scalar(asked)) == "3s"
    assert call.patience_s == ANSWER_S


def test_a_server_that_is_not_there_is_asked_once_in_a_while() -> None:
    database = CoreDatabase("postgresql://user@127.0.0.1:1/none")
    with pytest.raises(sa.exc.OperationalError):
        read(database)
    with pytest.raises(StoreUnavailable):
        database.run(add)
