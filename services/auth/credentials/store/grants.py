"""Sign-ins, their refresh tokens, sessions of browsers, and revoked access JWTs."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.models import AuthorizationCode, BrowserSession, Grant, RefreshToken, RevokedToken, User
from services.common.upsert import insert

_LIVE_USER = (
    sa.select(User).join(Grant, Grant.user_id == User.id).where(Grant.id == sa.bindparam("id"), Grant.revoked_at.is_(None), User.active)
)


def is_live(session: Session, grant_id: str) -> bool:
    """Say whether the sign-in has not been ended."""
    return session.scalar(sa.select(Grant.id).where(Grant.id == grant_id, Grant.revoked_at.is_(None))) is not None


def live_user(session: Session, grant_id: str) -> User | None:
    """Return the active user of a sign-in that has not been ended."""
    return session.scalar(_LIVE_USER, {"id": grant_id})


def by_refresh_token(session: Session, digest: str) -> tuple[RefreshToken, Grant] | None:
    """Return a refresh token, spent or not, with its sign-in, ended or not."""
    row = session.execute(
        sa.select(RefreshToken, Grant).join(Grant, Grant.id == RefreshToken.grant_id).where(RefreshToken.digest == digest)
    ).one_or_none()
    return (row[0], row[1]) if row else None


def spend(session: Session, digest: str, now: dt.datetime) -> bool:
    """Mark a refresh token as spent. Returns whether it was unspent; of two requests at once only one gets True."""
    spent = sa.update(RefreshToken).where(RefreshToken.digest == digest, RefreshToken.spent_at.is_(None)).values(spent_at=now)
    return bool(cast(sa.CursorResult[Any], session.execute(spent)).rowcount)


def end(session: Session, grant_id: str, now: dt.datetime) -> None:
    """End a sign-in; one that has ended keeps its moment."""
    session.execute(sa.update(Grant).where(Grant.id == grant_id, Grant.revoked_at.is_(None)).values(revoked_at=now))


def end_all(
    session: Session, user_id: str, now: dt.datetime, *, besides_session: str | None = None, by_login_key_only: bool = False
) -> None:
    """End every sign-in of a user, also those of browsers and those that a code would begin.

    besides_session: digest of the browser session that goes on. The caller holds the lock of the user's row.
    """
    if not by_login_key_only:
        # a login key gets no code. Before the rest: a code that is exchanged at this moment has its sign-in, which ends below
        session.execute(sa.delete(AuthorizationCode).where(AuthorizationCode.user_id == user_id, AuthorizationCode.grant_id.is_(None)))
    grants = sa.update(Grant).where(Grant.user_id == user_id, Grant.revoked_at.is_(None)).values(revoked_at=now)
    sessions = sa.delete(BrowserSession).where(BrowserSession.user_id == user_id)
    if by_login_key_only:
        grants = grants.where(Grant.method == "login_key")
        sessions = sessions.where(BrowserSession.method == "login_key")
    if besides_session:
        sessions = sessions.where(BrowserSession.digest != besides_session)
    session.execute(grants)
    session.execute(sessions)


def browser_session(session: Session, digest: str, now: dt.datetime) -> tuple[BrowserSession, User] | None:
    """Return a browser's sign-in that has not expired, with its active user."""
    row = session.execute(
        sa.select(BrowserSession, User)
        .join(User, User.id == BrowserSession.user_id)
        .where(BrowserSession.digest == digest, BrowserSession.expires_at > now, User.active)
    ).one_or_none()
    return (row[0], row[1]) if row else None


def drop_browser_session(session: Session, digest: str) -> None:
    """Delete a browser's sign-in."""
    session.execute(sa.delete(BrowserSession).where(BrowserSession.digest == digest))


def revoke(session: Session, jti: str, expires_at: dt.datetime) -> None:
    """Revoke an access JWT; doing it again changes nothing."""
    session.execute(insert(session.get_bind().dialect.name, RevokedToken).values(jti=jti, expires_at=expires_at).on_conflict_do_nothing())


def forget_expired(session: Session, now: dt.datetime) -> None:
    """Delete codes, sign-ins and revocations that expired more than a day ago."""
    for kind in (AuthorizationCode, BrowserSession, RevokedToken, Grant):
        session.execute(sa.delete(kind).where(kind.expires_at < now - dt.timedelta(days=1)))
