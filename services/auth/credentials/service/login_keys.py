"""Login keys: a secret that replaces the password for a while, one for each user."""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from services.auth.access import Caller
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.credentials.rules import opaque
from services.auth.credentials.service import own_account
from services.auth.credentials.service.bounds import earliest, end_of
from services.auth.credentials.store import accounts, grants
from services.auth.models import LoginKey
from services.common.clock import Clock
from services.common.database import Database


class LoginKeys:
    """The login keys of users. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, caller: Caller) -> LoginKey | None:
        """Return the caller's login key, None when there is none."""
        with self._database.read() as session:
            return accounts.login_key(session, caller.user.id)

    def add(self, caller: Caller, origin: Origin) -> tuple[str, dt.datetime]:
        """Create a key; returns it and when it ends.

        The one before ends, with the sign-ins and tokens that were created with it. Raises Refusal 401.
        """
        key = opaque.make(opaque.LOGIN_KEY)

        def work(session: Session) -> dt.datetime:
            now = self._clock.now()
            user = own_account.locked_as_let_in(session, caller)
            lifetime_s = accounts.login_key_lifetime(session, user)
            lifetime = dt.timedelta(seconds=lifetime_s)
            expires = earliest(now + lifetime, end_of(session, caller, now)) or now
            grants.end_all(session, user.id, now, by_login_key_only=True)
            accounts.put_login_key(session, user.id, opaque.digest(key), now, expires)
            audit.write(session, origin, now, "login-key.new", user.id)
            return expires

        return key, self._database.run(work)

    def remove(self, caller: Caller, origin: Origin) -> bool:
        """Remove the key; the sign-ins and tokens that were created with it end. Returns whether there was one. Raises Refusal 401."""

        def work(session: Session) -> bool:
            now = self._clock.now()
            own_account.locked(session, caller)
            dropped = accounts.drop_login_key(session, caller.user.id)
            if dropped:
                grants.end_all(session, caller.user.id, now, by_login_key_only=True)
                audit.write(session, origin, now, "login-key.remove", caller.user.id)
            return dropped

        return self._database.run(work)
