"""What pages tell once."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.models import Note


def take(session: Session, note_id: str, browser_session: str, now: dt.datetime) -> str | None:
    """The sealed note of this browser's sign-in, and forget it; None when it is over. Of two requests at once one gets it."""
    mine = sa.select(Note).where(Note.id == note_id, Note.session == browser_session, Note.expires_at > now)
    found = session.scalar(mine.with_for_update())
    if found is None:
        return None
    session.delete(found)
    return found.sealed


def forget_before(session: Session, now: dt.datetime) -> None:
    session.execute(sa.delete(Note).where(Note.expires_at <= now))
