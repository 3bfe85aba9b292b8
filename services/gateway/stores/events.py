"""The outbox of webhook calls, and the marks that keep one event from being told twice.

A call is written before it is made and stays until it succeeded or was given up, so no crash loses it. Who makes it takes a lease on its
row first: two workers never make the same call at once, and the calls of a worker that died are free again when its lease has ended. What
a worker reports after it lost its lease does not count, unless it is that the call succeeded.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.common.database import Database
from services.gateway.events.outbox import Call, Delivery, State
from services.gateway.stores.base import Base, insert

DELIVERED_KEPT_FOR: Final = 7 * 86_400.0
DEAD_KEPT_FOR: Final = 30 * 86_400.0
GIVEN_UP_AFTER: Final = 86_400.0


class DeliveryRow(Base):
    """Times are epoch seconds. lane: calls of one lane share a fate, so only a few of them are made at once. secret: "" = unsigned."""

    __tablename__ = "deliveries"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    hook_id: Mapped[str] = mapped_column(sa.Text, index=True)
    lane: Mapped[str] = mapped_column(sa.Text)
    event: Mapped[str] = mapped_column(sa.Text)
    api_id: Mapped[str] = mapped_column(sa.Text)
    method: Mapped[str] = mapped_column(sa.String(10))
    url: Mapped[str] = mapped_column(sa.Text)
    headers: Mapped[list[Any]]
    body: Mapped[str] = mapped_column(sa.Text)
    secret: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.String(10))
    attempts: Mapped[int]
    created_at: Mapped[float] = mapped_column(sa.Double)
    give_up_at: Mapped[float] = mapped_column(sa.Double)
    next_at: Mapped[float] = mapped_column(sa.Double)
    leased_until: Mapped[float] = mapped_column(sa.Double)
    ended_at: Mapped[float | None] = mapped_column(sa.Double)
    last_status: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(sa.Text)

    __table_args__ = (sa.Index("ix_deliveries_state_next_at", "state", "next_at"),)


class MarkRow(Base):
    """An event that was told a moment ago."""

    __tablename__ = "event_marks"

    mark: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    until: Mapped[float] = mapped_column(sa.Double, index=True)


class Outbox:
    """Thread-safe. All times are epoch seconds, given by the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, calls: Sequence[Call], now: float) -> int:
        """Writes the calls whose event was not told a moment ago; how many. In one transaction."""

        def work(session: Session) -> int:
            # One order for everybody: two writers that lock the same marks must not wait for each other.
            fresh = [call for call in sorted(calls, key=lambda call: call.mark) if not call.told_for or self._mark(session, call, now)]
            session.add_all(_row(call, now) for call in fresh)
            return len(fresh)

        return self._database.run(work)

    def _mark(self, session: Session, call: Call, now: float) -> bool:
        mark = hashlib.sha256("\0".join(call.mark).encode("utf-8", "surrogatepass")).hexdigest()
        statement = insert(self._database.dialect, MarkRow).values(mark=mark, until=now + call.told_for)
        statement = statement.on_conflict_do_update(
            index_elements=["mark"], set_={"until": statement.excluded.until}, where=MarkRow.until <= now
        )
        # the row count of an insert is not known on every store; what comes back is
        return session.execute(statement.returning(MarkRow.mark)).first() is not None

    def lease(self, now: float, seconds: float, most: int, under_way: Mapping[str, int], most_of_lane: int) -> list[Delivery]:
        """Takes calls that are due, the longest waiting first. under_way: calls that the caller makes already, by lane.

        Fewer than there could be when many of one lane wait: ask again until none is left.
        """
        full = [lane for lane, calls in under_way.items() if calls >= most_of_lane]
        due = sa.select(DeliveryRow).where(
            DeliveryRow.state == "pending", DeliveryRow.next_at <= now, DeliveryRow.leased_until <= now, DeliveryRow.lane.not_in(full)
        )
        due = due.order_by(DeliveryRow.next_at).limit(most)
        locked = due.with_for_update(skip_locked=True) if self._database.dialect == "postgresql" else due

        def work(session: Session) -> list[Delivery]:
            calls = Counter(under_way)
            leased = []
            for row in session.scalars(locked):
                if calls[row.lane] < most_of_lane:
                    calls[row.lane] += 1
                    row.leased_until = now + seconds
                    leased.append(_delivery(row))
            return leased

        with self._database.read() as session:  # looking must not take SQLite's write lock
            if session.scalar(due.with_only_columns(DeliveryRow.id).limit(1)) is None:
                return []
        return self._database.run(work)

    def delivered(self, delivery: Delivery, status: int, now: float) -> None:
        """It succeeded: that counts even when the lease was lost meanwhile."""
        self._change(
            DeliveryRow.id == delivery.id,
            state="delivered",
            last_status=status,
            last_error="",
            ended_at=now,
            attempts=DeliveryRow.attempts + 1,
        )

    def failed(self, delivery: Delivery, status: int | None, error: str, next_at: float) -> None:
        """Try again at `next_at`."""
        self._change(
            _still(delivery), last_status=status, last_error=error, next_at=next_at, leased_until=0.0, attempts=DeliveryRow.attempts + 1
        )

    def given_up(self, delivery: Delivery, status: int | None, error: str, now: float) -> None:
        self._change(_still(delivery), state="dead", last_status=status, last_error=error, ended_at=now, attempts=DeliveryRow.attempts + 1)

    def replay(self, id: str, now: float) -> bool:
        """Makes a call again from the beginning, with the same `webhook-id`; one that is being made goes on. False when there is none."""
        free = sa.or_(DeliveryRow.state != "pending", DeliveryRow.leased_until <= now)
        return bool(self._change(sa.and_(DeliveryRow.id == id, free), **_again(now))) or self.get(id) is not None

    def replay_dead(self, hook_id: str | None, now: float) -> int:
        """Makes all dead calls of a hook again, None = of every hook; how many."""
        dead = DeliveryRow.state == "dead"
        return self._change(dead if hook_id is None else sa.and_(dead, DeliveryRow.hook_id == hook_id), **_again(now))

    def get(self, id: str) -> Delivery | None:
        with self._database.read() as session:
            row = session.get(DeliveryRow, id)
            return None if row is None else _delivery(row)

    def page(self, state: State | None, number: int, size: int, hook_id: str = "") -> tuple[list[Delivery], int]:
        """The newest first. number: from zero."""
        chosen = sa.select(DeliveryRow)
        if state:
            chosen = chosen.where(DeliveryRow.state == state)
        if hook_id:
            chosen = chosen.where(DeliveryRow.hook_id == hook_id)
        with self._database.read() as session:
            total = session.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
            rows = session.scalars(chosen.order_by(DeliveryRow.created_at.desc(), DeliveryRow.id).limit(size).offset(number * size))
            return [_delivery(row) for row in rows], total

    def sweep(self, now: float) -> None:
        """Forgets marks that have ended, calls that succeeded a week ago, and those that were given up a month ago."""

        def work(session: Session) -> None:
            session.execute(sa.delete(MarkRow).where(MarkRow.until <= now))
            for state, kept_for in (("delivered", DELIVERED_KEPT_FOR), ("dead", DEAD_KEPT_FOR)):
                session.execute(sa.delete(DeliveryRow).where(DeliveryRow.state == state, DeliveryRow.ended_at < now - kept_for))

        self._database.run(work)

    def _change(self, which: sa.ColumnElement[bool], **values: Any) -> int:
        statement = sa.update(DeliveryRow).where(which).values(**values)
        return self._database.run(lambda session: int(session.execute(statement).rowcount))  # type: ignore[attr-defined]


def _still(delivery: Delivery) -> sa.ColumnElement[bool]:
    """Whether the lease is the one that was given."""
    return sa.and_(DeliveryRow.id == delivery.id, DeliveryRow.state == "pending", DeliveryRow.leased_until == delivery.leased_until)


def _again(now: float) -> dict[str, Any]:
    return {"state": "pending", "attempts": 0, "give_up_at": now + GIVEN_UP_AFTER, "next_at": now, "leased_until": 0.0, "ended_at": None}


def _row(call: Call, now: float) -> DeliveryRow:
    return DeliveryRow(
        id=call.id,
        hook_id=call.hook_id,
        lane=call.lane,
        event=call.event,
        api_id=call.api_id,
        method=call.method,
        url=call.url,
        headers=[list(header) for header in call.headers],
        body=call.body,
        secret=call.secret,
        state="pending",
        attempts=0,
        created_at=now,
        give_up_at=now + GIVEN_UP_AFTER,
        next_at=now,
        leased_until=0.0,
        last_error="",
    )


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(
        row.id,
        row.hook_id,
        row.lane,
        row.event,
        row.api_id,
        row.method,
        row.url,
        [(name, value) for name, value in row.headers],
        row.body,
        row.secret,
        row.state,
        row.attempts,
        row.created_at,
        row.give_up_at,
        row.next_at,
        row.leased_until,
        row.ended_at,
        row.last_status,
        row.last_error,
    )
