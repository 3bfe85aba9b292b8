"""The outbox of webhook calls, and the marks that keep one event from being told twice.

A call is written before it is made and stays until it succeeded or was given up, so no crash loses it. Who makes it takes a lease on its
row first: two workers never make the same call at once, and the calls of a worker that died are free again when its lease has ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.common.database import Database
from services.gateway.stores.base import Base

State = Literal["pending", "delivered", "dead"]
STATES: Final[tuple[State, ...]] = ("pending", "delivered", "dead")
KEPT_FOR: Final = 7 * 86_400.0


class DeliveryRow(Base):
    """Times are epoch seconds."""

    __tablename__ = "deliveries"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    hook_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    event: Mapped[str] = mapped_column(sa.String(64))
    api_id: Mapped[str] = mapped_column(sa.String(128))
    method: Mapped[str] = mapped_column(sa.String(10))
    url: Mapped[str] = mapped_column(sa.Text)
    headers: Mapped[list[Any]]
    body: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.String(10))
    attempts: Mapped[int]
    created_at: Mapped[float] = mapped_column(sa.Double)
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


@dataclass(frozen=True, slots=True)
class Call:
    """A webhook call to be made. mark: what makes two events the same; told_for: seconds for which it is not told again, 0 = always told."""

    id: str
    hook_id: str
    event: str
    api_id: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str
    mark: tuple[str, ...]
    told_for: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """A call and how far it got."""

    id: str
    hook_id: str
    event: str
    api_id: str
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: str
    state: str
    attempts: int
    created_at: float
    next_at: float
    ended_at: float | None
    last_status: int | None
    last_error: str


class Outbox:
    """Thread-safe. All times are epoch seconds, given by the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = postgresql_insert if database.dialect == "postgresql" else sqlite_insert

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
        statement = self._insert(MarkRow).values(mark=mark, until=now + call.told_for)
        statement = statement.on_conflict_do_update(
            index_elements=["mark"], set_={"until": statement.excluded.until}, where=MarkRow.until <= now
        )
        return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]

    def lease(self, now: float, seconds: float, most: int, busy: Sequence[str] = ()) -> list[Delivery]:
        """Takes calls that are due, the longest waiting first. busy: hooks that get no more calls now."""
        due = sa.select(DeliveryRow).where(
            DeliveryRow.state == "pending", DeliveryRow.next_at <= now, DeliveryRow.leased_until <= now, DeliveryRow.hook_id.not_in(busy)
        )
        due = due.order_by(DeliveryRow.next_at).limit(most)
        locked = due.with_for_update(skip_locked=True) if self._database.dialect == "postgresql" else due

        def work(session: Session) -> list[Delivery]:
            rows = list(session.scalars(locked))
            for row in rows:
                row.leased_until = now + seconds
            return [_delivery(row) for row in rows]

        with self._database.read() as session:  # looking must not take SQLite's write lock
            if session.scalar(due.with_only_columns(DeliveryRow.id).limit(1)) is None:
                return []
        return self._database.run(work)

    def delivered(self, id: str, status: int, now: float) -> None:
        self._change(id, state="delivered", last_status=status, last_error="", ended_at=now, attempts=DeliveryRow.attempts + 1)

    def failed(self, id: str, status: int | None, error: str, next_at: float) -> None:
        """Try again at `next_at`."""
        self._change(id, last_status=status, last_error=error, next_at=next_at, leased_until=0.0, attempts=DeliveryRow.attempts + 1)

    def given_up(self, id: str, status: int | None, error: str, now: float) -> None:
        self._change(id, state="dead", last_status=status, last_error=error, ended_at=now, attempts=DeliveryRow.attempts + 1)

    def replay(self, id: str, now: float) -> bool:
        """Makes a call again from the beginning. False when there is no such call."""
        return bool(self._change(id, **_again(now)))

    def replay_dead(self, hook_id: str, now: float) -> int:
        """Makes all dead calls of a hook again; how many."""
        statement = sa.update(DeliveryRow).where(DeliveryRow.hook_id == hook_id, DeliveryRow.state == "dead").values(**_again(now))
        return self._database.run(lambda session: int(session.execute(statement).rowcount))  # type: ignore[attr-defined]

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
        """Forgets marks that have ended and calls that ended a week ago."""

        def work(session: Session) -> None:
            session.execute(sa.delete(MarkRow).where(MarkRow.until <= now))
            session.execute(sa.delete(DeliveryRow).where(DeliveryRow.state != "pending", DeliveryRow.ended_at < now - KEPT_FOR))

        self._database.run(work)

    def _change(self, id: str, **values: Any) -> int:
        statement = sa.update(DeliveryRow).where(DeliveryRow.id == id).values(**values)
        return self._database.run(lambda session: int(session.execute(statement).rowcount))  # type: ignore[attr-defined]


def _again(now: float) -> dict[str, Any]:
    return {"state": "pending", "attempts": 0, "created_at": now, "next_at": now, "leased_until": 0.0, "ended_at": None}


def _row(call: Call, now: float) -> DeliveryRow:
    return DeliveryRow(
        id=call.id,
        hook_id=call.hook_id,
        event=call.event,
        api_id=call.api_id,
        method=call.method,
        url=call.url,
        headers=[list(header) for header in call.headers],
        body=call.body,
        state="pending",
        attempts=0,
        created_at=now,
        next_at=now,
        leased_until=0.0,
        last_error="",
    )


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(
        row.id,
        row.hook_id,
        row.event,
        row.api_id,
        row.method,
        row.url,
        [(name, value) for name, value in row.headers],
        row.body,
        row.state,
        row.attempts,
        row.created_at,
        row.next_at,
        row.ended_at,
        row.last_status,
        row.last_error,
    )
