"""Sign-ins of browsers: the cookie holds a secret, the database its digest; and the token that shows that a form is ours."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.orm import Session

from services.auth.access import PASSWORD, Caller
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.credentials.rules import opaque
from services.auth.credentials.service.sign_in import Proven, SignIn
from services.auth.credentials.service.throttle import FAMILIAR_FOR, attempt
from services.auth.credentials.store import failures, grants
from services.auth.models import BrowserSession
from services.common.clock import Clock
from services.common.database import Database


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who has signed in on the pages."""

    caller: Caller
    signed_in_at: dt.datetime


class Begun(NamedTuple):
    """A sign-in that has just begun. cookie, device: secrets for two cookies, and when each ends; no device without the password."""

    cookie: str
    expires: dt.datetime
    device: str | None
    device_expires: dt.datetime


def form_token(secret: str) -> str:
    """Return what a form must carry (CSRF): only a page that was rendered for the cookie's holder can know it."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


class Browsers:
    """Sign-ins of browsers. Thread-safe."""

    def __init__(self, database: Database, clock: Clock, sign_in: SignIn, *, hours: int) -> None:
        self._database = database
        self._clock = clock
        self._sign_in = sign_in
        self._lifetime = dt.timedelta(hours=hours)

    def sign_in(self, email: str, secret: str, origin: Origin, device: str | None = None) -> Begun:
        """Begin the sign-in of a browser. Raises as `SignIn.check`.

        device: the secret that an earlier sign-in left in this browser; the new one takes its place.
        """
        cookie, new_device = opaque.make(opaque.SESSION), opaque.make(opaque.DEVICE)

        def begin(session: Session, proven: Proven, now: dt.datetime) -> Begun:
            user, method = proven.user, proven.method
            expires = min(now + self._lifetime, proven.ends) if proven.ends else now + self._lifetime
            digest = opaque.digest(cookie)
            session.add(BrowserSession(digest=digest, user_id=user.id, method=method, created_at=now, expires_at=expires))
            audit.write(session, origin.acting(user.email, user.id), now, "login", user.id, method=method, place="page")
            if method == PASSWORD:
                if device:
                    failures.forget_place(session, attempt(email, origin, device).here)
                failures.remember(session, attempt(email, origin, new_device).here, user.id, now)
            return Begun(cookie, expires, new_device if method == PASSWORD else None, now + FAMILIAR_FOR)

        return self._sign_in.begin(email, secret, origin, begin, device)

    def find(self, cookie: str) -> Visitor | None:
        """Return who has this cookie, while the sign-in is valid."""
        if opaque.prefix_of(cookie) != opaque.SESSION:
            return None
        with self._database.read() as session:
            found = grants.browser_session(session, opaque.digest(cookie), self._clock.now())
        if found is None:
            return None
        kept, user = found
        return Visitor(Caller(user, kept.method, None, kept.digest), kept.created_at)

    def sign_out(self, caller: Caller, origin: Origin) -> None:
        """End the sign-in of this browser."""

        def work(session: Session) -> None:
            grants.drop_browser_session(session, caller.session or "")
            audit.write(session, origin, self._clock.now(), "logout", caller.user.id)

        self._database.run(work)
