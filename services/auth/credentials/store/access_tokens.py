"""Access tokens in the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.models import AccessToken


def of_user(session: Session, user_id: str, token_id: str, *, lock: bool = False) -> AccessToken | None:
    """Return a token of the user, None when the user has none of this id. lock: until the transaction ends."""
    query = sa.select(AccessToken).where(AccessToken.id == token_id, AccessToken.user_id == user_id)
    return session.scalar(query.with_for_update() if lock else query)


def page_of_user(session: Session, user_id: str, page: int, per_page: int) -> tuple[list[AccessToken], int]:
    """Return one page of the user's tokens, newest first, and how many there are in all."""
    mine = AccessToken.user_id == user_id
    total = session.scalar(sa.select(sa.func.count()).select_from(AccessToken).where(mine)) or 0
    query = sa.select(AccessToken).where(mine).order_by(AccessToken.created_at.desc(), AccessToken.id)
    return list(session.scalars(query.limit(per_page).offset((page - 1) * per_page))), total


def mark_used(session: Session, used: Mapping[str, dt.datetime]) -> None:
    """Note when tokens were used, never back to an earlier moment: another process may have written a later one already."""
    for token_id in sorted(used):  # in one order, so that two processes never wait for each other
        earlier = sa.or_(AccessToken.last_used_at.is_(None), AccessToken.last_used_at < used[token_id])
        session.execute(sa.update(AccessToken).where(AccessToken.id == token_id, earlier).values(last_used_at=used[token_id]))
