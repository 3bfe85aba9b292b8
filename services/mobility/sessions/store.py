"""The session keys of owners in the database: one row an owner."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.upsert import insert
from services.mobility.models import OwnerSession

WHOSE = sa.select(OwnerSession.owner_id, OwnerSession.password_stamp).where(
    OwnerSession.key_digest == sa.bindparam("digest"), OwnerSession.ends_at > sa.bindparam("now", type_=OwnerSession.ends_at.type)
)


def open_session(session: Session, owner_id: str, values: Mapping[str, Any], now: dt.datetime) -> dt.datetime | None:
    """Give an owner a session, unless one is alive: then return when that ends. values: of the other columns."""
    statement = (
        insert(session.get_bind().dialect.name, OwnerSession)
        .values(owner_id=owner_id, **values)
        .on_conflict_do_update(index_elements=["owner_id"], set_=values, where=OwnerSession.ends_at <= now)
        .returning(OwnerSession.owner_id)
    )
    if session.execute(statement).one_or_none() is not None:
        return None
    return session.execute(sa.select(OwnerSession.ends_at).where(OwnerSession.owner_id == owner_id)).scalar_one()


def renew(session: Session, digest: str, now: dt.datetime, ends_at: dt.datetime) -> None:
    """Let a live session end later, but not after its last moment."""
    until = sa.case((OwnerSession.last_at < ends_at, OwnerSession.last_at), else_=sa.literal(ends_at, OwnerSession.ends_at.type))
    session.execute(sa.update(OwnerSession).where(OwnerSession.key_digest == digest, OwnerSession.ends_at > now).values(ends_at=until))


def release(session: Session, digest: str, now: dt.datetime) -> bool:
    """End a session. Returns whether it was alive."""
    gone = session.execute(
        sa.delete(OwnerSession).where(OwnerSession.key_digest == digest, OwnerSession.ends_at > now).returning(OwnerSession.owner_id)
    )
    return gone.one_or_none() is not None


def end(session: Session, digest: str) -> None:
    """End a session whose owner may not have one any more."""
    session.execute(sa.delete(OwnerSession).where(OwnerSession.key_digest == digest))
