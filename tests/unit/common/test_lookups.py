"""Lone look-ups, on both stores."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa

from services.common.core_database import LOOKUPS_AT_ONCE, CoreDatabase
from services.common.lookups import Lookups
from services.common.store_guard import Guard

things = sa.table("things", sa.column("id", sa.Integer), sa.column("name", sa.String))
BY_ID = sa.select(things.c.name).where(things.c.id == sa.bindparam("id"))

GUARD = Guard(4, together=True)


@pytest.fixture
def database(database_url: str) -> Iterator[CoreDatabase]:
    found = CoreDatabase(database_url)
    with found.transaction() as session:
        session.execute(sa.text("CREATE TABLE things (id INTEGER, name VARCHAR(20))"))
        session.execute(sa.text("INSERT INTO things VALUES (1, 'first')"))
    yield found
    found.dispose()


@pytest.fixture
def lookups(database: CoreDatabase, database_url: str) -> Iterator[Lookups]:
    found = Lookups(database_url, database.guard)
    yield found
    found.dispose()


def test_one_row_or_none(lookups: Lookups) -> None:
    found = lookups.one(BY_ID, {"id": 1})
    assert found is not None
    assert tuple(found) == ("first",)
    assert lookups.one(BY_ID, {"id": 2}) is None


def test_it_sees_what_was_committed_and_nothing_else(database: CoreDatabase, lookups: Lookups) -> None:
    assert tuple(lookups.one(BY_ID, {"id": 1}) or ()) == ("first",)
    with database.transaction() as session:
        session.execute(sa.text("UPDATE things SET name = 'second'"))
        assert tuple(lookups.one(BY_ID, {"id": 1}) or ()) == ("first",)
    assert tuple(lookups.one(BY_ID, {"id": 1}) or ()) == ("second",)


def test_it_leaves_no_transaction_behind(database: CoreDatabase, lookups: Lookups) -> None:
    """A reader that held its snapshot or a lock would keep the writer waiting, or see the past."""
    for n in range(LOOKUPS_AT_ONCE * 2):
        lookups.one(BY_ID, {"id": 1})
        with database.transaction() as session:
            session.execute(sa.text(f"UPDATE things SET name = '{n}'"))
        assert tuple(lookups.one(BY_ID, {"id": 1}) or ()) == (str(n),)


@pytest.mark.slow
def test_a_lost_connection_is_not_noticed(postgresql_url: str) -> None:
    lookups = Lookups(postgresql_url, GUARD)
    ask = sa.select(sa.func.pg_backend_pid())
    first = lookups.one(ask, {})
    assert first is not None
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (first[0],))
    second = lookups.one(ask, {})
    assert second is not None
    assert second[0] != first[0]
    lookups.dispose()


def test_a_wrong_statement_is_not_repeated(lookups: Lookups, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    ask = lookups._try
    monkeypatch.setattr(lookups, "_try", lambda *given: asked.append(1) or ask(*given))
    with pytest.raises(sa.exc.DBAPIError):
        lookups.one(sa.select(sa.column("nonsense")).select_from(sa.table("nowhere")), {})
    assert len(asked) == 1


def test_an_unreachable_store_raises() -> None:
    with pytest.raises(sa.exc.OperationalError):
        Lookups("postgresql://user@127.0.0.1:1/none", GUARD).one(sa.select(sa.literal(1)), {})
