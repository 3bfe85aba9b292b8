"""What pages tell once."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.models import Note

READ = ""  # in place of what a note said, until it expires: its form must not be done twice


def take(session: Session, note_id: str, browser_session: str, now: dt.datetime) -> str | None:
    """Return the sealed note of this browser's sign-in and forget it; None when it was read or has expired.

    Of two requests at once one gets it.
    """
    mine = sa.select(Note).where(Note.id == note_id, Note.session == browser_session, Note.sealed != READ, Note.expires_at > now)
    found = session.scalar(mine.with_for_update())
    if found is None:
        return None
    sealed, found.sealed = found.sealed, READ
    return sealed


def forget_oldest(session: Session, browser_session: str, keep: int) -> None:
    """Delete all notes of a browser's sign-in except the newest. keep: how many stay."""
    newest = sa.select(Note.id).where(Note.session == browser_session).order_by(Note.expires_at.desc(), Note.id).limit(keep)
    session.execute(sa.delete(Note).where(Note.session == browser_session, Note.id.not_in(newest)))


def forget_before(session: Session, now: dt.datetime) -> None:
    """Delete the notes that have expired."""
    session.execute(sa.delete(Note).where(Note.expires_at <= now))
