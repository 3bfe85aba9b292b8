"""Sessions of owners: one session key each, for a minute, and again for a minute from each write."""

from __future__ import annotations

import math

from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.common.lookups import Lookups
from services.mobility import refusals
from services.mobility.access import Caller, Owners, of_user
from services.mobility.sessions import store
from services.mobility.sessions.rules import LIFE, digest, is_key, new_key


class Sessions:
    """All sessions. Thread-safe."""

    def __init__(self, database: Database, lookups: Lookups, owners: Owners, clock: Clock) -> None:
        self._database = database
        self._lookups = lookups
        self._owners = owners
        self._clock = clock

    def open(self, email: str, password: str, address: str | None) -> str:
        """Start the session of an owner; return its key. address: the client's. Raises Refusal 401, 409, 429, 503."""
        proven = self._owners.by_password(email, password, address)
        key = new_key()
        now = self._clock.now()
        values = {
            "key_digest": digest(key),
            "password_stamp": proven.user.password_stamp,
            "ends_at": min(now + LIFE, proven.ends or now + LIFE),
            "last_at": proven.ends,
        }
        busy_until = self._database.run(lambda session: store.open_session(session, proven.user.id, values, now))
        if busy_until is not None:
            raise refusals.session_busy(math.ceil((busy_until - now).total_seconds()))
        return key

    def release(self, key: str) -> None:
        """End a session. Raises Refusal 401."""
        now = self._clock.now()
        if not is_key(key) or not self._database.run(lambda session: store.release(session, digest(key), now)):
            raise refusals.not_authorized()

    def caller(self, key: str) -> Caller:
        """Say whose session key this is, with the rights that auth gives its owner now. Raises Refusal 401, 503.

        A key ends when its owner is gone or disabled, or has another password.
        """
        found = self._lookups.one(store.WHOSE, {"digest": digest(key), "now": self._clock.now()}) if is_key(key) else None
        if found is None:
            raise refusals.not_authorized()
        owner_id, stamp = tuple(found)
        user = self._owners.by_id(owner_id, stamp)
        if user is None:
            self._database.run(lambda session: store.end(session, digest(key)))
            raise refusals.not_authorized()
        return of_user(user, digest(key))

    def renew(self, session: Session, caller: Caller) -> None:
        """Let the caller's session live for another minute, with the transaction that is given. Other credentials need nothing."""
        if caller.key_digest is not None:
            now = self._clock.now()
            store.renew(session, caller.key_digest, now, now + LIFE)
