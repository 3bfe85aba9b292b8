"""Ends: what a caller with a login key creates ends when the key does."""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.access import LOGIN_KEY, Caller
from services.auth.credentials.store import accounts, grants


def end_of(session: Session, caller: Caller | None, now: dt.datetime) -> dt.datetime | None:
    """Return when whatever the caller creates must end: when the login key does, None for a caller with the password.

    Call it with the user's row locked, as whatever ends a key does. Raises Refusal 401 when the key has ended meanwhile.
    """
    if caller is None or caller.method != LOGIN_KEY:
        return None
    key = accounts.login_key(session, caller.user.id)
    if caller.grant_id is not None:
        good = grants.is_live(session, caller.grant_id)
    elif caller.session is not None:
        good = grants.browser_session(session, caller.session, now) is not None
    else:
        good = key is not None and key.digest == caller.key_digest
    if key is None or not good or key.expires_at <= now:
        raise refusals.token_revoked()
    return key.expires_at


def earliest(*moments: dt.datetime | None) -> dt.datetime | None:
    """Return the earliest moment; None stands for never."""
    return min((moment for moment in moments if moment is not None), default=None)


def expiry(now: dt.datetime, expires_in: int | None) -> dt.datetime | None:
    """Return the end of what lives `expires_in` seconds, None for what has no end."""
    return now + dt.timedelta(seconds=expires_in) if expires_in is not None else None
