"""Role tokens and their cut-offs in the database."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.models import CutOff, RoleToken
from services.common.upsert import insert


def get(session: Session, jti: str) -> RoleToken | None:
    """Return a role token, revoked or not."""
    return session.get(RoleToken, jti)


def page(session: Session, subject: str | None, page: int, per_page: int) -> tuple[list[RoleToken], int]:
    """Return one page of those not revoked, newest first, and how many there are in all."""
    which = [RoleToken.revoked_at.is_(None), *([RoleToken.subject == subject] if subject else [])]
    total = session.scalar(sa.select(sa.func.count()).select_from(RoleToken).where(*which)) or 0
    query = sa.select(RoleToken).where(*which).order_by(RoleToken.issued_at.desc(), RoleToken.jti)
    return list(session.scalars(query.limit(per_page).offset((page - 1) * per_page))), total


def put_cut_off(session: Session, subject: str, moment: dt.datetime) -> None:
    """Store a cut-off; of two at once the later one stays."""
    put = insert(session.get_bind().dialect.name, CutOff).values(subject=subject, cut_off=moment)
    session.execute(put.on_conflict_do_update(index_elements=["subject"], set_={"cut_off": moment}))


def cut_off(session: Session, subject: str) -> CutOff | None:
    """Return the cut-off of a subject, locked."""
    return session.get(CutOff, subject, with_for_update=True)


def cut_offs(session: Session) -> list[CutOff]:
    """Return all cut-offs by subject."""
    return list(session.scalars(sa.select(CutOff).order_by(CutOff.subject)))
