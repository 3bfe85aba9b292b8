"""What a page tells once, after a form was sent and the browser was redirected: what was done and, if one was created, the secret.

The database holds a note under a one-time id. The page's address holds the id, which is useless without the cookie of the sign-in that the
note belongs to. The note is sealed with a key from that cookie's secret, and the database holds only the secret's digest: a copy of the
database shows no secret. What a note says is deleted when it is shown, with the sign-in, and after five minutes.

A form that creates something carries the id of its note, which is stored together with what the form creates: sent twice, it creates one.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from typing import NamedTuple

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.auth.credentials.rules import opaque
from services.auth.credentials.store import notes
from services.auth.models import Note
from services.common.clock import Clock
from services.common.database import Database
from services.common.sealing import NotOpened, Seal

LIFETIME = dt.timedelta(minutes=5)
MOST = 100  # notes of a sign-in at a time; one more deletes the oldest
_PURPOSE = "auth: note of a page"


def new_id() -> str:
    """Return a new note's id: 22 characters that an address can hold."""
    return secrets.token_urlsafe(16)


class Told(NamedTuple):
    """text: a sentence or two. secret: shown this once."""

    text: str
    secret: str | None


class Form(NamedTuple):
    """A form that creates something once. cookie: the secret of the browser's sign-in. note_id: of its note. text: what the note says."""

    cookie: str
    note_id: str
    text: str


class SentBefore(Exception):
    """This form has done its work. told: whether its note has been read."""

    def __init__(self, told: bool) -> None:
        super().__init__()
        self.told = told


class SignInEnded(Exception):
    """The sign-in of the browser that sent the form has ended, so nothing was stored."""


class Notes:
    """Notes of pages, each for one browser's sign-in. Thread-safe. cookie: the secret of that sign-in."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, cookie: str, told: Told) -> str | None:
        """Store a note; returns its id, None when the sign-in has ended."""
        note_id = new_id()
        try:
            self._database.run(lambda session: self.write(session, cookie, note_id, told))
        except IntegrityError:  # the sign-in has ended
            return None
        return note_id

    def write(self, session: Session, cookie: str, note_id: str, told: Told) -> None:
        """Store a note together with what it tells of, which is undone when this raises. note_id: of a form of ours.

        Raises SentBefore; IntegrityError, also when the session is flushed, when the sign-in has ended.
        """
        before = session.get(Note, note_id)
        if before is not None:
            raise SentBefore(told=before.sealed == notes.READ)
        sealed = Seal(_PURPOSE, cookie).seal(json.dumps(told).encode(), note_id)
        digest, expires = opaque.digest(cookie), self._clock.now() + LIFETIME
        notes.forget_oldest(session, digest, MOST - 1)
        session.add(Note(id=note_id, session=digest, sealed=sealed, expires_at=expires))

    def take(self, cookie: str, note_id: str) -> Told | None:
        """Return what the note says, this once; None when it was read, or is not this sign-in's."""
        digest = opaque.digest(cookie)
        sealed = self._database.run(lambda session: notes.take(session, note_id, digest, self._clock.now()))
        if sealed is None:
            return None
        try:
            return Told(*json.loads(Seal(_PURPOSE, cookie).open(sealed, note_id)))
        except NotOpened:
            return None
