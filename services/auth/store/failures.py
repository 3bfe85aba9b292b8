"""Failed log-ins, counted by account and by address in the database, so that every process and every replica sees the same."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.models import Failure


class Count(NamedTuple):
    """Failures and the moment of the newest."""

    failures: int
    last_at: dt.datetime


def of_account(session: Session, account: str, since: dt.datetime) -> Count | None:
    return _count(session, Failure.account == account, since)


def of_address(session: Session, address: str, since: dt.datetime) -> Count | None:
    return _count(session, Failure.address == address, since)


def _count(session: Session, which: sa.ColumnElement[bool], since: dt.datetime) -> Count | None:
    row = session.execute(sa.select(sa.func.sum(Failure.count), sa.func.max(Failure.last_at)).where(which, Failure.last_at > since)).one()
    return Count(int(row[0]), row[1]) if row[0] else None


def add(session: Session, account: str, address: str, now: dt.datetime, since: dt.datetime) -> None:
    """Count one failure. What is older than `since` is forgotten first."""
    changed = session.execute(
        sa.update(Failure)
        .where(Failure.account == account, Failure.address == address)
        .values(count=sa.case((Failure.last_at > since, Failure.count + 1), else_=1), last_at=now)
    )
    if not changed.rowcount:
        session.add(Failure(account=account, address=address, count=1, last_at=now))


def forget_account(session: Session, account: str) -> None:
    session.execute(sa.delete(Failure).where(Failure.account == account))


def forget_before(session: Session, since: dt.datetime) -> None:
    session.execute(sa.delete(Failure).where(Failure.last_at <= since))
