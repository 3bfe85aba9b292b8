"""Signing in: whose password or login key it is, and what begins with it."""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.access import LOGIN_KEY, PASSWORD
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.credentials.rules import emails, opaque
from services.auth.credentials.service.grants import Grants, Tokens
from services.auth.credentials.service.hashing import Hasher
from services.auth.credentials.service.throttle import Attempt, Standing, Throttle, attempt
from services.auth.credentials.service.turns import FAMILIAR, ORDINARY, SUSPECT
from services.auth.credentials.store import accounts
from services.auth.models import Person, User, person_in
from services.common.clock import Clock
from services.common.database import Database
from services.common.lookups import Lookups

CHANGES_AT_ONCE = 3
R = TypeVar("R")


class Proven(NamedTuple):
    """A credential that was right. method: `password` or `login_key`; key_digest, ends: of that key."""

    user: Person
    method: str
    key_digest: str | None = None
    ends: dt.datetime | None = None


class SignIn:
    """Checks people's credentials and begins their sign-ins. Thread-safe."""

    def __init__(
        self,
        database: Database,
        lookups: Lookups,
        clock: Clock,
        hasher: Hasher,
        grants: Grants,
        throttle: Throttle,
        *,
        refresh_days: int,
    ) -> None:
        self._database = database
        self._lookups = lookups
        self._clock = clock
        self._hasher = hasher
        self._grants = grants
        self._throttle = throttle
        self._refresh = dt.timedelta(days=refresh_days)

    def check(self, username: str, secret: str, origin: Origin, device: str | None = None) -> Proven:
        """Find out whose password or login key it is. Raises Refusal 401, 429 with Retry-After, 503 when too many wait.

        A failure is counted and written to the audit; a right password clears the failures of its place. A right login key never waits:
        it cannot be guessed, and its owner's programs go on whatever strangers try.
        device: the secret of the cookie that an earlier sign-in left in this browser.
        """
        tried, standing, found = self._look(username, origin, device)
        user, key_digest, key_ends = person_in(found), found[7], found[8]
        if opaque.prefix_of(secret) == opaque.LOGIN_KEY:
            if key_digest is not None and hmac.compare_digest(key_digest, opaque.digest(secret)) and user and user.active:
                if key_ends <= self._clock.now():
                    raise refusals.login_key_expired()
                self._used(user)
                return Proven(user, LOGIN_KEY, key_digest, key_ends)
            self._throttle.judge(tried, standing)
            self._failed(username, tried, origin)
            raise refusals.invalid_credentials()
        self._throttle.judge(tried, standing)
        checked = self._hasher.check(
            user.password_hash if user and user.active else None,
            secret,
            rank=_rank(standing),
            holders=tried.holders(standing),
            before=lambda: self._throttle.judge(*self._look(username, origin, device)[:2]),
            wrong=lambda: self._failed(username, tried, origin),
        )
        if not checked.right or user is None:
            raise refusals.invalid_credentials()
        self._succeeded(user, tried, standing, checked.renewed)
        return Proven(user._replace(password_hash=checked.renewed or user.password_hash), PASSWORD)

    def _look(self, username: str, origin: Origin, device: str | None) -> tuple[Attempt, Standing, tuple[Any, ...]]:
        """Return an attempt's counters, its standing, and the row of `accounts.CHECK`.

        A browser that is not familiar counts as its address.
        """
        key = emails.key_of(username) if len(username) <= 1000 else None
        tried = attempt(username, origin, device)
        row = self._lookups.one(accounts.CHECK, {**self._throttle.parameters(tried), "key": key})
        assert row is not None  # the statement always has one
        standing = self._throttle.standing(tuple(row))
        if device is not None and not standing.familiar:
            return self._look(username, origin, None)
        return tried, standing, tuple(row)

    def _failed(self, username: str, tried: Attempt, origin: Origin) -> None:
        now = self._clock.now()

        def work(session: Session) -> None:
            self._throttle.failed(session, tried)
            audit.write(session, origin, now, "login.failed", self._account_name(session, username))

        self._database.run(work)

    @staticmethod
    def _account_name(session: Session, username: str) -> str | None:
        """Return the account that was tried, when there is one: anything else that was typed may be a password in the wrong field."""
        key = emails.key_of(username) if len(username) <= 1000 else None
        user = accounts.by_email_key(session, key) if key else None
        return user.email if user else None

    def _recent(self, user: Person) -> bool:
        """Say whether the last log-in is too new to be written again: a neighbour that asks again and again must not write each time."""
        return user.last_login_at is not None and self._clock.now() - user.last_login_at < dt.timedelta(seconds=60)

    def _used(self, user: Person) -> None:
        """Note a log-in by the login key."""
        if not self._recent(user):
            self._database.run(lambda session: self._note_log_in(session, user))

    def _succeeded(self, user: Person, tried: Attempt, standing: Standing, renewed: str | None) -> None:
        """Note a log-in by the password, and clear the failures of its place."""
        if self._recent(user) and standing.familiar and not standing.failed_here and renewed is None:
            return

        def work(session: Session) -> None:
            kept = self._note_log_in(session, user)
            if (
                kept is None or kept.version != user.version
            ):  # the password may have changed meanwhile: this log-in says nothing about the new one
                return
            if renewed is not None and kept.password_hash == user.password_hash:
                kept.password_hash = renewed
            self._throttle.succeeded(session, tried, user.id)

        self._database.run(work)

    def _note_log_in(self, session: Session, user: Person) -> User | None:
        kept = accounts.by_id(session, user.id, lock=True)
        if kept is not None:
            kept.last_login_at = self._clock.now()
        return kept

    def log_in(self, email: str, secret: str, origin: Origin) -> Tokens:
        """Check a credential and return tokens for its person. Raises as `check`."""

        def begin(session: Session, proven: Proven, now: dt.datetime) -> Tokens:
            # the sign-in that a login key began does not outlive the key
            expires = min(now + self._refresh, proven.ends) if proven.ends else now + self._refresh
            grant = self._grants.add(session, proven.user, None, "", proven.method, expires, now)
            audit.write(session, origin.acting(proven.user.email, proven.user.id), now, "login", proven.user.id, method=proven.method)
            return self._grants.issue(session, proven.user, grant, now)

        return self.begin(email, secret, origin, begin)

    def begin(
        self, email: str, secret: str, origin: Origin, work: Callable[[Session, Proven, dt.datetime], R], device: str | None = None
    ) -> R:
        """Check a credential and do `work` in the transaction of the sign-in. Raises as `check`.

        Between the two another request may change the password, end the key or disable the account, which ends every sign-in: one that
        begins at that moment must not survive. So the account is read again under its lock, and the credential is checked once more when
        anything changed.
        """

        def guarded(session: Session) -> R | None:
            now = self._clock.now()
            kept = accounts.by_id(session, proven.user.id, lock=True)
            if kept is None or not kept.active or kept.version != proven.user.version:
                return None
            if proven.method == LOGIN_KEY:
                key = accounts.login_key(session, kept.id)
                if key is None or key.digest != proven.key_digest:
                    return None
            kept.last_login_at = now
            return work(session, proven, now)

        for _ in range(CHANGES_AT_ONCE):
            proven = self.check(email, secret, origin, device)
            done = self._database.run(guarded)
            if done is not None:
                return done
        raise refusals.invalid_credentials()


def _rank(standing: Standing) -> int:
    """Return the rank of an attempt in the queue of password checks."""
    if standing.familiar:
        return ORDINARY if standing.failed_here else FAMILIAR
    return SUSPECT if standing.failed_anywhere else ORDINARY
