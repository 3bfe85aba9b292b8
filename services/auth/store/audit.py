"""Audit lines in the database."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.models import AuditLine


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines a list holds: since included, until excluded."""

    action: str | None = None
    actor_id: str | None = None
    target: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


def page(session: Session, wanted: Filter, page: int, per_page: int) -> tuple[list[AuditLine], int]:
    """One page, newest first, and how many there are in all."""
    which = []
    if wanted.action:
        which.append(AuditLine.action == wanted.action)
    if wanted.actor_id:
        which.append(AuditLine.actor_id == wanted.actor_id)
    if wanted.target:
        which.append(AuditLine.target == wanted.target)
    if wanted.since:
        which.append(AuditLine.at >= wanted.since)
    if wanted.until:
        which.append(AuditLine.at < wanted.until)
    total = session.scalar(sa.select(sa.func.count()).select_from(AuditLine).where(*which)) or 0
    query = sa.select(AuditLine).where(*which).order_by(AuditLine.id.desc())
    return list(session.scalars(query.limit(per_page).offset((page - 1) * per_page))), total


def forget_before(session: Session, moment: dt.datetime) -> None:
    session.execute(sa.delete(AuditLine).where(AuditLine.at < moment))
