"""The outbox in a database: webhook calls, and the marks that keep one event from being told twice.

A call is written before it is made and stays until it succeeded or was given up, so no crash loses it. A worker takes a lease on its row
first: two workers never make the same call at once, and the calls of a worker that died are free again when its lease has ended. What a
worker reports after it lost its lease does not count, except that the call succeeded.

`put` writes calls in a transaction of the caller's: they are there exactly when what caused them is. `StoredOutbox` is all the rest. Both
work through connections, also where the service's transactions are sessions: they map no class and need no ORM.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import sqlalchemy as sa

from services.common.core_database import Transactions
from services.common.upsert import insert
from services.common.webhooks.outbox import Backlog, Call, Delivery, State
from services.common.webhooks.tables import Tables

if TYPE_CHECKING:  # the ORM is not for all who import this: it costs 6 MB
    from sqlalchemy.orm import Session

R = TypeVar("R")

DELIVERED_KEPT_FOR: Final = 7 * 86_400.0
DEAD_KEPT_FOR: Final = 30 * 86_400.0
MOST_KEPT: Final = 1000  # calls of a hook that have ended, each with its body of some 30 kB
GIVEN_UP_AFTER: Final = 86_400.0
_SLICE: Final = 1000  # rows of one transaction that sweeps: nobody else waits for long
_CLOCKS_DIFFER: Final = 60.0  # seconds, at most, between the clocks of two machines


def put(transaction: sa.Connection | Session, tables: Tables, calls: Sequence[Call], now: float) -> int:
    """Write the calls whose event was not told a moment ago, in an open transaction; return how many. now: epoch seconds.

    Whoever commits wakes the courier afterwards. Raises the store's error: also for a deadlock with another transaction, after which
    `Database.run` begins again.
    """
    if not calls:
        return 0
    connection = _connection(transaction)
    # Writers that lock rows in the same order cannot deadlock.
    fresh = [call for call in sorted(calls, key=lambda call: call.mark) if not call.told_for or _mark(connection, tables.marks, call, now)]
    if fresh:
        connection.execute(sa.insert(tables.deliveries), [_row(call, now) for call in fresh])
    return len(fresh)


class StoredOutbox:
    """The `Outbox` in a service's database; `outbox.py` says what its calls do."""

    def __init__(self, database: Transactions[Any], tables: Tables) -> None:
        """database: a `CoreDatabase`, or a `Database` with sessions."""
        self._database = database
        self._tables = tables
        self._deliveries = tables.deliveries
        self._d = tables.deliveries.c
        self._shown: sa.ColumnElement[bool] = sa.true()  # which calls `get`, `page` and the replays know; a service may narrow it
        # under the names of `Delivery`, whatever the service calls its columns
        self._selected = sa.select(*(column.label(column.key) for column in self._d))

    def put(self, calls: Sequence[Call], now: float) -> int:
        return self._run(lambda connection: put(connection, self._tables, calls, now))

    def lease(self, now: float, seconds: float, most: int, under_way: Mapping[str, int], most_of_lane: int) -> list[Delivery]:
        # A time too far ahead to be meant was written by a clock that was ahead, and counts as now.
        d = self._d
        full = [lane for lane, calls in under_way.items() if calls >= most_of_lane]
        due = self._selected.where(
            d.state == "pending",
            sa.or_(d.next_at <= now, d.next_at > now + GIVEN_UP_AFTER + _CLOCKS_DIFFER),
            sa.or_(d.leased_until <= now, d.leased_until > now + seconds + _CLOCKS_DIFFER),
            d.lane.not_in(full),
        )
        due = due.order_by(d.next_at).limit(most)
        locked = due.with_for_update(skip_locked=True) if self._database.dialect == "postgresql" else due

        def work(connection: sa.Connection) -> list[Delivery]:
            calls = Counter(under_way)
            leased = []
            for row in connection.execute(locked).all():
                if calls[row.lane] < most_of_lane:
                    calls[row.lane] += 1
                    leased.append(replace(_delivery(row), leased_until=now + seconds))
            if leased:
                chosen = d.id.in_([delivery.id for delivery in leased])
                connection.execute(sa.update(self._deliveries).where(chosen).values(leased_until=now + seconds))
            return leased

        with self._read() as connection:  # looking must not take SQLite's write lock
            if connection.scalar(due.with_only_columns(d.id).limit(1)) is None:
                return []
        return self._run(work)

    def delivered(self, delivery: Delivery, status: int, now: float) -> None:
        self._note(self._d.id == delivery.id, state="delivered", last_status=status, last_error="", ended_at=now)

    def failed(self, delivery: Delivery, status: int | None, error: str, next_at: float) -> None:
        self._note(self._still(delivery), last_status=status, last_error=error, next_at=next_at, leased_until=0.0)

    def given_up(self, delivery: Delivery, status: int | None, error: str, now: float) -> None:
        self._note(self._still(delivery), state="dead", last_status=status, last_error=error, ended_at=now)

    def replay(self, id: str, now: float) -> bool:
        free = sa.or_(self._d.state != "pending", self._d.leased_until <= now)
        return bool(self._change(sa.and_(self._d.id == id, self._shown, free), **_again(now))) or self.get(id) is not None

    def replay_dead(self, hook_id: str | None, now: float) -> int:
        dead = sa.and_(self._d.state == "dead", self._shown)
        return self._change(dead if hook_id is None else sa.and_(dead, self._d.hook_id == hook_id), **_again(now))

    def get(self, id: str) -> Delivery | None:
        with self._read() as connection:
            row = connection.execute(self._selected.where(self._d.id == id, self._shown)).one_or_none()
            return None if row is None else _delivery(row)

    def page(self, state: State | None, number: int, size: int, hook_id: str = "") -> tuple[list[Delivery], int]:
        chosen = self._selected.where(self._shown)
        if state:
            chosen = chosen.where(self._d.state == state)
        if hook_id:
            chosen = chosen.where(self._d.hook_id == hook_id)
        with self._read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
            rows = connection.execute(chosen.order_by(self._d.created_at.desc(), self._d.id).limit(size).offset(number * size))
            return [_delivery(row) for row in rows], total

    def backlog(self, now: float) -> Backlog:
        d = self._d
        count = sa.select(d.state, sa.func.count(), sa.func.min(d.next_at)).where(d.state.in_(("pending", "dead"))).group_by(d.state)
        with self._read() as connection:
            found = {state: (number, first) for state, number, first in connection.execute(count)}
        waiting, first = found.get("pending", (0, now))
        return Backlog(waiting, max(0.0, now - first), found.get("dead", (0, now))[0])

    def sweep(self, now: float) -> None:
        marks, d = self._tables.marks, self._d
        self._run(lambda connection: connection.execute(sa.delete(marks).where(marks.c.until <= now)))
        for state, kept_for in (("delivered", DELIVERED_KEPT_FOR), ("dead", DEAD_KEPT_FOR)):
            self._remove(sa.and_(d.state == state, d.ended_at < now - kept_for))
        for hook_id, oldest in self._too_many():
            self._remove(sa.and_(d.hook_id == hook_id, d.state != "pending", d.ended_at <= oldest))

    def _too_many(self) -> list[tuple[str, float]]:
        """Find the hooks that keep too many calls that have ended; with the end of the newest one that is too many."""
        d = self._d
        many = sa.select(d.hook_id).where(d.state != "pending").group_by(d.hook_id).having(sa.func.count() > MOST_KEPT)
        ends = sa.select(d.ended_at).where(d.state != "pending").order_by(d.ended_at.desc()).offset(MOST_KEPT).limit(1)
        with self._read() as connection:
            found = [(hook_id, connection.scalar(ends.where(d.hook_id == hook_id))) for hook_id in connection.scalars(many).all()]
        return [(hook_id, oldest) for hook_id, oldest in found if oldest is not None]

    def _remove(self, which: sa.ColumnElement[bool]) -> None:
        some = sa.select(self._d.id).where(which).limit(_SLICE)
        statement = sa.delete(self._deliveries).where(self._d.id.in_(some))
        while self._run(lambda connection: connection.execute(statement).rowcount) >= _SLICE:
            pass

    def _run(self, work: Callable[[sa.Connection], R]) -> R:
        return self._database.run(lambda transaction: work(_connection(transaction)))

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with self._database.read() as transaction:
            yield _connection(transaction)

    def _note(self, which: sa.ColumnElement[bool], **values: Any) -> None:
        """Note what came of an attempt."""
        self._change(which, attempts=self._d.attempts + 1, **values)

    def _change(self, which: sa.ColumnElement[bool], **values: Any) -> int:
        statement = sa.update(self._deliveries).where(which).values(**values)
        return self._run(lambda connection: connection.execute(statement).rowcount)

    def _still(self, delivery: Delivery) -> sa.ColumnElement[bool]:
        """Whether the lease is the one that was given."""
        d = self._d
        return sa.and_(d.id == delivery.id, d.state == "pending", d.leased_until == delivery.leased_until)


def _connection(transaction: sa.Connection | Session) -> sa.Connection:
    return transaction if isinstance(transaction, sa.Connection) else transaction.connection()


def _mark(connection: sa.Connection, marks: sa.Table, call: Call, now: float) -> bool:
    mark = hashlib.sha256("\0".join(call.mark).encode("utf-8", "surrogatepass")).hexdigest()
    statement = insert(connection.dialect.name, marks).values(mark=mark, until=now + call.told_for)
    statement = statement.on_conflict_do_update(
        index_elements=["mark"],
        set_={"until": statement.excluded.until},
        # a mark of a clock that was ahead would silence the event until that time has come
        where=sa.or_(marks.c.until <= now, marks.c.until > now + call.told_for + _CLOCKS_DIFFER),
    )
    # the row count of an insert is not known on every store; what comes back is
    return connection.execute(statement.returning(marks.c.mark)).first() is not None


def _again(now: float) -> dict[str, Any]:
    return {"state": "pending", "attempts": 0, "give_up_at": now + GIVEN_UP_AFTER, "next_at": now, "leased_until": 0.0, "ended_at": None}


def _row(call: Call, now: float) -> dict[str, Any]:
    return {
        "id": call.id,
        "hook_id": call.hook_id,
        "lane": call.lane,
        "event": call.event,
        "subject": call.subject,
        "method": call.method,
        "url": call.url,
        "headers": [list(header) for header in call.headers],
        "body": call.body,
        "state": "pending",
        "attempts": 0,
        "created_at": now,
        "give_up_at": now + GIVEN_UP_AFTER,
        "next_at": now,
        "leased_until": 0.0,
        "last_error": "",
    }


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(**{**row._mapping, "headers": [(name, value) for name, value in row.headers]})
