"""In a service with the ORM: its rows and their calls are written in one transaction, and a courier makes the calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_network
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from services.common.core_database import CoreDatabase
from services.common.database import Conventions, Database, SQLAlchemy
from services.common.webhooks.courier import Courier
from services.common.webhooks.outbox import Call
from services.common.webhooks.store import StoredOutbox, put
from services.common.webhooks.tables import outbox_tables
from tests.support.stores import Prepare
from tests.support.waiting import wait_until

MakeCall = Callable[..., Call]
NOW = 1_800_000_000.0


class Base(Conventions, DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
TABLES = outbox_tables(db.metadata)


class Reading(Base):
    __tablename__ = "readings"
    id: Mapped[int] = mapped_column(primary_key=True)


def _create_tables(url: str) -> None:
    database = CoreDatabase(url)
    db.metadata.create_all(database.engine)
    database.dispose()


@pytest.fixture(scope="session")
def prepare_database() -> Prepare:
    return _create_tables


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(db, database_url)
    yield database
    database.dispose()


@pytest.fixture
def outbox(database: Database) -> StoredOutbox:
    return StoredOutbox(database, TABLES)


def readings(database: Database) -> int:
    with database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Reading)) or 0


def test_a_row_and_its_calls_are_written_together(database: Database, outbox: StoredOutbox, make_call: MakeCall) -> None:
    def work(session: Session) -> int:
        session.add(Reading(id=1))
        return put(session, TABLES, [make_call(1, told_for=10), make_call(2, told_for=10), make_call(3)], NOW)

    assert database.run(work) == 2
    assert readings(database) == 1
    assert [one.id for one in outbox.lease(NOW, 60, 10, {}, 10)] == ["msg_1", "msg_3"]


def test_what_is_rolled_back_tells_nobody(database: Database, outbox: StoredOutbox, make_call: MakeCall) -> None:
    """Neither the calls stay nor the marks: the event is told when it happens for good."""

    def fail(session: Session) -> None:
        session.add(Reading(id=1))
        assert put(session, TABLES, [make_call(1, told_for=10)], NOW) == 1
        raise LookupError

    with pytest.raises(LookupError):
        database.run(fail)
    assert (readings(database), outbox.page(None, 0, 10)) == (0, ([], 0))
    assert outbox.put([make_call(2, told_for=10)], NOW) == 1


def test_a_row_that_the_store_refuses_takes_its_calls_along(database: Database, outbox: StoredOutbox, make_call: MakeCall) -> None:
    def work(session: Session, number: int) -> None:
        put(session, TABLES, [make_call(number)], NOW)
        session.add(Reading(id=1))  # the store hears of it at the end of the transaction

    database.run(partial(work, number=1))
    with pytest.raises(sa.exc.IntegrityError):
        database.run(partial(work, number=2))
    assert [one.id for one in outbox.page(None, 0, 10)[0]] == ["msg_1"]


def test_no_calls_ask_nothing_of_the_database() -> None:
    nothing: Any = object()
    assert put(nothing, TABLES, [], NOW) == 0


def test_from_the_transaction_to_the_receiver(database: Database, outbox: StoredOutbox, make_call: MakeCall, receiver: Any) -> None:
    """The courier is woken: it would look by itself only after an hour."""
    courier = Courier(outbox, lambda _: "", (ip_network("127.0.0.0/8"),), now=lambda: NOW, look=3600.0)
    courier.start()
    try:
        call = make_call(1, f"{receiver.url}/hook", subject="device 7")
        database.run(lambda session: put(session, TABLES, [call], NOW))
        courier.wake()
        wait_until(lambda: outbox.page("delivered", 0, 1)[1] == 1)
    finally:
        courier.stop()
    assert receiver.ids() == ["msg_1"]
    found = outbox.get("msg_1")
    assert found is not None and (found.subject, found.attempts, found.last_status) == ("device 7", 1, 200)


def test_the_rest_of_a_calls_life(database: Database, outbox: StoredOutbox, make_call: MakeCall) -> None:
    outbox.put([make_call(1), make_call(2)], NOW)
    one, two = outbox.lease(NOW, 60, 10, {}, 10)
    outbox.failed(one, 500, "the target answered 500", NOW + 5)
    outbox.given_up(two, 410, "the target answered 410", NOW + 1)
    assert [(again.id, again.attempts) for again in outbox.lease(NOW + 5, 60, 10, {}, 10)] == [("msg_1", 1)]
    assert (outbox.replay("msg_2", NOW + 6), outbox.replay_dead(None, NOW + 6)) == (True, 0)
    assert [again.id for again in outbox.lease(NOW + 6, 60, 10, {}, 10)] == ["msg_2"]
    outbox.delivered(two, 200, NOW + 7)
    outbox.sweep(NOW + 10**7)
    assert [left.id for left in outbox.page(None, 0, 10)[0]] == ["msg_1"]
