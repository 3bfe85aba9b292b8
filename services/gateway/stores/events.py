"""The outbox of webhook calls, and the marks that keep one event from being told twice.

A call is written before it is made and stays until it succeeded or was given up, so no crash loses it. A worker takes a lease on its row
first: two workers never make the same call at once, and the calls of a worker that died are free again when its lease has ended. What a
worker reports after it lost its lease does not count, except that the call succeeded.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.common.upsert import insert
from services.gateway.events.outbox import Call, Delivery, State
from services.gateway.stores.base import metadata

DELIVERED_KEPT_FOR: Final = 7 * 86_400.0
DEAD_KEPT_FOR: Final = 30 * 86_400.0
GIVEN_UP_AFTER: Final = 86_400.0
_CLOCKS_DIFFER: Final = 60.0  # seconds, at most, between the clocks of two machines

# Times are epoch seconds. lane: calls of one lane share a fate, so only a few of them are made at once.
DELIVERIES: Final = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("hook_id", sa.Text, nullable=False, index=True),
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("api_id", sa.Text, nullable=False),
    sa.Column("method", sa.String(10), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("give_up_at", sa.Double, nullable=False),
    sa.Column("next_at", sa.Double, nullable=False),
    sa.Column("leased_until", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("last_status", sa.Integer),
    sa.Column("last_error", sa.Text, nullable=False),
    sa.Index("ix_deliveries_state_next_at", "state", "next_at"),
)
# Events that were told a moment ago.
MARKS: Final = sa.Table(
    "event_marks",
    metadata,
    sa.Column("mark", sa.String(64), primary_key=True),
    sa.Column("until", sa.Double, nullable=False, index=True),
)
_D: Final = DELIVERIES.c


class Outbox:
    """The `Outbox` in the gateway's database; `events/outbox.py` says what its calls do."""

    def __init__(self, database: CoreDatabase) -> None:
        self._database = database

    def put(self, calls: Sequence[Call], now: float) -> int:
        def work(connection: sa.Connection) -> int:
            # Writers that lock rows in the same order cannot deadlock.
            fresh = [call for call in sorted(calls, key=lambda call: call.mark) if not call.told_for or self._mark(connection, call, now)]
            if fresh:
                connection.execute(sa.insert(DELIVERIES), [_row(call, now) for call in fresh])
            return len(fresh)

        return self._database.run(work)

    def _mark(self, connection: sa.Connection, call: Call, now: float) -> bool:
        mark = hashlib.sha256("\0".join(call.mark).encode("utf-8", "surrogatepass")).hexdigest()
        statement = insert(self._database.dialect, MARKS).values(mark=mark, until=now + call.told_for)
        statement = statement.on_conflict_do_update(
            index_elements=["mark"],
            set_={"until": statement.excluded.until},
            # a mark of a clock that was ahead would silence the event until that time has come
            where=sa.or_(MARKS.c.until <= now, MARKS.c.until > now + call.told_for + _CLOCKS_DIFFER),
        )
        # the row count of an insert is not known on every store; what comes back is
        return connection.execute(statement.returning(MARKS.c.mark)).first() is not None

    def lease(self, now: float, seconds: float, most: int, under_way: Mapping[str, int], most_of_lane: int) -> list[Delivery]:
        # A time too far ahead to be meant was written by a clock that was ahead, and counts as now.
        full = [lane for lane, calls in under_way.items() if calls >= most_of_lane]
        due = sa.select(DELIVERIES).where(
            _D.state == "pending",
            sa.or_(_D.next_at <= now, _D.next_at > now + GIVEN_UP_AFTER + _CLOCKS_DIFFER),
            sa.or_(_D.leased_until <= now, _D.leased_until > now + seconds + _CLOCKS_DIFFER),
            _D.lane.not_in(full),
        )
        due = due.order_by(_D.next_at).limit(most)
        locked = due.with_for_update(skip_locked=True) if self._database.dialect == "postgresql" else due

        def work(connection: sa.Connection) -> list[Delivery]:
            calls = Counter(under_way)
            leased = []
            for row in connection.execute(locked).all():
                if calls[row.lane] < most_of_lane:
                    calls[row.lane] += 1
                    leased.append(replace(_delivery(row), leased_until=now + seconds))
            if leased:
                chosen = _D.id.in_([delivery.id for delivery in leased])
                connection.execute(sa.update(DELIVERIES).where(chosen).values(leased_until=now + seconds))
            return leased

        with self._database.read() as connection:  # looking must not take SQLite's write lock
            if connection.scalar(due.with_only_columns(_D.id).limit(1)) is None:
                return []
        return self._database.run(work)

    def delivered(self, delivery: Delivery, status: int, now: float) -> None:
        self._change(
            _D.id == delivery.id,
            state="delivered",
            last_status=status,
            last_error="",
            ended_at=now,
            attempts=_D.attempts + 1,
        )

    def failed(self, delivery: Delivery, status: int | None, error: str, next_at: float) -> None:
        self._change(_still(delivery), last_status=status, last_error=error, next_at=next_at, leased_until=0.0, attempts=_D.attempts + 1)

    def given_up(self, delivery: Delivery, status: int | None, error: str, now: float) -> None:
        self._change(_still(delivery), state="dead", last_status=status, last_error=error, ended_at=now, attempts=_D.attempts + 1)

    def replay(self, id: str, now: float) -> bool:
        free = sa.or_(_D.state != "pending", _D.leased_until <= now)
        return bool(self._change(sa.and_(_D.id == id, free), **_again(now))) or self.get(id) is not None

    def replay_dead(self, hook_id: str | None, now: float) -> int:
        dead = _D.state == "dead"
        return self._change(dead if hook_id is None else sa.and_(dead, _D.hook_id == hook_id), **_again(now))

    def get(self, id: str) -> Delivery | None:
        with self._database.read() as connection:
            row = connection.execute(sa.select(DELIVERIES).where(_D.id == id)).one_or_none()
            return None if row is None else _delivery(row)

    def page(self, state: State | None, number: int, size: int, hook_id: str = "") -> tuple[list[Delivery], int]:
        chosen = sa.select(DELIVERIES)
        if state:
            chosen = chosen.where(_D.state == state)
        if hook_id:
            chosen = chosen.where(_D.hook_id == hook_id)
        with self._database.read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
            rows = connection.execute(chosen.order_by(_D.created_at.desc(), _D.id).limit(size).offset(number * size))
            return [_delivery(row) for row in rows], total

    def sweep(self, now: float) -> None:
        def work(connection: sa.Connection) -> None:
            connection.execute(sa.delete(MARKS).where(MARKS.c.until <= now))
            for state, kept_for in (("delivered", DELIVERED_KEPT_FOR), ("dead", DEAD_KEPT_FOR)):
                connection.execute(sa.delete(DELIVERIES).where(_D.state == state, _D.ended_at < now - kept_for))

        self._database.run(work)

    def _change(self, which: sa.ColumnElement[bool], **values: Any) -> int:
        statement = sa.update(DELIVERIES).where(which).values(**values)
        return self._database.run(lambda connection: connection.execute(statement).rowcount)


def _still(delivery: Delivery) -> sa.ColumnElement[bool]:
    """Whether the lease is the one that was given."""
    return sa.and_(_D.id == delivery.id, _D.state == "pending", _D.leased_until == delivery.leased_until)


def _again(now: float) -> dict[str, Any]:
    return {"state": "pending", "attempts": 0, "give_up_at": now + GIVEN_UP_AFTER, "next_at": now, "leased_until": 0.0, "ended_at": None}


def _row(call: Call, now: float) -> dict[str, Any]:
    return {
        "id": call.id,
        "hook_id": call.hook_id,
        "lane": call.lane,
        "event": call.event,
        "api_id": call.api_id,
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
