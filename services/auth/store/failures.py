"""Failed log-ins, counted by account and by address in the database, so that every process and every replica sees the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.auth.models import Failure

_COUNTS = sa.select(Failure.count, Failure.last_at).where(
    Failure.counter.in_(sa.bindparam("counters", expanding=True)), Failure.last_at > sa.bindparam("since")
)


def counts(session: Session, counters: Iterable[str], since: dt.datetime) -> list[tuple[int, dt.datetime]]:
    """(failures, moment of the newest) of each counter that has any after `since`."""
    found = session.execute(_COUNTS, {"counters": list(counters), "since": since})
    return [(count, last_at) for count, last_at in found]


def add(session: Session, counters: Iterable[str], now: dt.datetime, since: dt.datetime) -> None:
    """Count one failure. What is older than `since` is forgotten first."""
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    for counter in sorted(counters):  # in one order, so that two failures never wait for each other
        statement = insert(Failure).values(counter=counter, count=1, last_at=now)
        raised = sa.case((Failure.last_at > since, Failure.count + 1), else_=1)
        session.execute(statement.on_conflict_do_update(index_elements=["counter"], set_={"count": raised, "last_at": now}))


def forget(session: Session, counters: Iterable[str]) -> None:
    session.execute(sa.delete(Failure).where(Failure.counter.in_(list(counters))))


def forget_before(session: Session, since: dt.datetime) -> None:
    session.execute(sa.delete(Failure).where(Failure.last_at <= since))
