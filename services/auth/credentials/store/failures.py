"""Failed log-ins and familiar places in the database, so that every process and every replica sees the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.models import Failure, Familiar
from services.common.upsert import insert


def _insert(session: Session, table: type[Any]) -> Any:
    return insert(session.get_bind().dialect.name, table)


def count(session: Session, counter: str, since: dt.datetime) -> tuple[int, dt.datetime] | None:
    """Return the failures of a counter and the moment of the newest, None when there is none after `since`."""
    row = session.execute(
        sa.select(Failure.count, Failure.last_at).where(Failure.counter == counter, Failure.last_at > since)
    ).one_or_none()
    return (row[0], row[1]) if row else None


def add(session: Session, counters: Iterable[str], now: dt.datetime, since: dt.datetime) -> None:
    """Count one failure. What is older than `since` is forgotten first."""
    for counter in sorted(counters):  # in one order, so that two transactions never wait for each other
        statement = _insert(session, Failure).values(counter=counter, count=1, last_at=now)
        raised = sa.case((Failure.last_at > since, Failure.count + 1), else_=1)
        session.execute(statement.on_conflict_do_update(index_elements=["counter"], set_={"count": raised, "last_at": now}))


def begin(session: Session, counter: str, now: dt.datetime, since: dt.datetime) -> None:
    """Note the moment without a failure, where nothing newer than `since` is noted."""
    statement = _insert(session, Failure).values(counter=counter, count=0, last_at=now)
    old = Failure.last_at <= since
    session.execute(statement.on_conflict_do_update(index_elements=["counter"], set_={"count": 0, "last_at": now}, where=old))


def forget(session: Session, counter: str, wider: Iterable[str], since: dt.datetime) -> None:
    """Delete a counter, and subtract its failures from the wider ones, unless all were before `since` and are forgotten there."""
    rows = session.scalars(
        sa.select(Failure).where(Failure.counter.in_([counter, *wider])).order_by(Failure.counter).with_for_update()
    ).all()
    own = next((row for row in rows if row.counter == counter), None)
    if own is None:
        return
    for row in rows:
        if row is not own and own.last_at > since:
            row.count = max(0, row.count - own.count)
    session.delete(own)


def forget_before(session: Session, since: dt.datetime) -> None:
    """Delete the counters whose newest failure is not after `since`."""
    session.execute(sa.delete(Failure).where(Failure.last_at <= since))


# places


def remember(session: Session, place: str, user_id: str, now: dt.datetime) -> None:
    """Note that the account was signed in to from there."""
    statement = _insert(session, Familiar).values(place=place, user_id=user_id, seen_at=now)
    session.execute(statement.on_conflict_do_update(index_elements=["place"], set_={"user_id": user_id, "seen_at": now}))


def forget_place(session: Session, place: str) -> None:
    """Delete a familiar place."""
    session.execute(sa.delete(Familiar).where(Familiar.place == place))


def forget_places_of(session: Session, user_id: str) -> None:
    """Delete all familiar places of a user."""
    session.execute(sa.delete(Familiar).where(Familiar.user_id == user_id))


def forget_places_before(session: Session, since: dt.datetime) -> None:
    """Delete the places that were last signed in from at `since` or earlier."""
    session.execute(sa.delete(Familiar).where(Familiar.seen_at <= since))
