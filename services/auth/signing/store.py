"""Signing keys in the database."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.models import CutOff, RoleToken, SigningKey


def current(session: Session) -> SigningKey | None:
    """Return the key that signs; the unique index on `current` finds it."""
    return session.scalar(sa.select(SigningKey).where(SigningKey.current.is_(True)))


def retire_current(session: Session, now: dt.datetime) -> None:
    """Retire the key that signs, if there is one."""
    session.execute(sa.update(SigningKey).where(SigningKey.current.is_(True)).values(current=None, retired_at=now))


def all_keys(session: Session) -> list[SigningKey]:
    """Return every key, newest first."""
    return list(session.scalars(sa.select(SigningKey).order_by(SigningKey.created_at.desc(), SigningKey.kid)))


def needed(session: Session, retired_after: dt.datetime, now: dt.datetime) -> list[SigningKey]:
    """Return the keys that may still be needed to check a token.

    These are the current one, those retired after `retired_after` (their short-lived tokens may be out), and those of valid role tokens.
    """
    in_use = (
        sa.select(RoleToken.kid)
        .outerjoin(CutOff, CutOff.subject == RoleToken.subject)
        .where(
            RoleToken.revoked_at.is_(None),
            sa.or_(RoleToken.expires_at.is_(None), RoleToken.expires_at > now),
            sa.or_(CutOff.cut_off.is_(None), RoleToken.issued_at >= CutOff.cut_off),
        )
    )
    query = sa.select(SigningKey).where(
        sa.or_(SigningKey.current.is_(True), SigningKey.retired_at > retired_after, SigningKey.kid.in_(in_use))
    )
    return list(session.scalars(query.order_by(SigningKey.created_at.desc(), SigningKey.kid)))


def unneeded(session: Session, retired_after: dt.datetime, now: dt.datetime) -> list[str]:
    """Return the ids of the keys that `needed` does not return."""
    kept = {key.kid for key in needed(session, retired_after, now)}
    return [key.kid for key in all_keys(session) if key.kid not in kept]


def drop(session: Session, kids: list[str]) -> None:
    """Delete keys."""
    session.execute(sa.delete(SigningKey).where(SigningKey.kid.in_(kids)))
