"""Audit lines in the database."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.audit.rules import Filter, Origin
from services.auth.models import AuditLine


def write(session: Session, origin: Origin, now: dt.datetime, action: str, target: str | None = None, **details: Any) -> None:
    """Add a line to the caller's transaction: it is kept exactly when the change is. No secret may be among the details."""
    session.add(
        AuditLine(
            at=now,
            action=action,
            actor_id=origin.actor_id,
            actor=origin.actor[:254],
            target=target[:254] if target else None,
            address=origin.address[:45] if origin.address else None,
            request_id=origin.request_id,
            details=details,
        )
    )


def page(session: Session, wanted: Filter, page: int, per_page: int) -> tuple[list[AuditLine], int]:
    """Return one page, newest first, and how many lines there are in all."""
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
    """Delete the lines before a moment."""
    session.execute(sa.delete(AuditLine).where(AuditLine.at < moment))
