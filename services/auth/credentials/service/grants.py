"""Sign-ins under way: access JWTs, and refresh tokens that are rotated; one that is used again ends its family."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.credentials.rules import opaque
from services.auth.credentials.store import grants as store
from services.auth.models import Client, Grant, Person, RefreshToken, User
from services.auth.signing.rules import ACCESS
from services.auth.signing.service import KeyRing
from services.common.clock import Clock
from services.common.database import Database

BEARER = "Bearer"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in gives. refresh_token: None when the sign-in is over with the access token."""

    access_token: str
    expires_in: int
    refresh_token: str | None
    scope: str

    def shown(self) -> dict[str, Any]:
        """Return the tokens as JSON (RFC 6749 5.1)."""
        shown: dict[str, Any] = {"access_token": self.access_token, "token_type": BEARER, "expires_in": self.expires_in}
        if self.refresh_token:
            shown["refresh_token"] = self.refresh_token
        if self.scope:
            shown["scope"] = self.scope
        return shown


class Reused(Exception):
    """A spent refresh token was used again; its family has ended."""


class Grants:
    """Sign-ins and the tokens that follow from them. Thread-safe."""

    def __init__(self, database: Database, clock: Clock, keys: KeyRing, *, access_s: int) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._access_s = access_s

    def add(
        self,
        session: Session,
        user: User | Person,
        client: Client | None,
        scope: str,
        method: str,
        expires: dt.datetime,
        now: dt.datetime,
        grant_id: str | None = None,
    ) -> Grant:
        """Begin a sign-in, in the caller's transaction. grant_id: generated when it is left out."""
        grant = Grant(
            id=grant_id or str(uuid.uuid4()),
            user_id=user.id,
            client_id=client.id if client else None,
            scope=scope,
            method=method,
            created_at=now,
            expires_at=expires,
            revoked_at=None,
        )
        session.add(grant)
        session.flush()
        return grant

    def issue(
        self,
        session: Session,
        user: User | Person,
        grant: Grant,
        now: dt.datetime,
        *,
        refreshable: bool = True,
        scopes: Collection[str] | None = None,
    ) -> Tokens:
        """Issue an access JWT and the next refresh token of the sign-in. scopes: of the JWT, when it is to have fewer than the sign-in."""
        scope = grant.scope if scopes is None else " ".join(one for one in grant.scope.split() if one in scopes)
        expires = min(now + dt.timedelta(seconds=self._access_s), grant.expires_at)
        claims = {
            "sid": grant.id,
            **({"client_id": grant.client_id} if grant.client_id else {}),
            **({"scope": scope} if scope else {}),
        }
        token, _, _ = self._keys.sign(session, user.id, issued=now, expires=expires, kind=ACCESS, claims=claims)
        refresh = None
        if refreshable:
            refresh = opaque.make(opaque.REFRESH)
            session.add(RefreshToken(digest=opaque.digest(refresh), grant_id=grant.id, created_at=now, spent_at=None))
            session.flush()
        return Tokens(token, max(0, int((expires - now).total_seconds())), refresh, scope)

    def find(self, refresh_token: str) -> Grant | None:
        """Return the sign-in of a refresh token, spent or not, that has not ended."""
        if opaque.prefix_of(refresh_token) != opaque.REFRESH:
            return None
        with self._database.read() as session:
            found = store.by_refresh_token(session, opaque.digest(refresh_token))
            if found is None or found[1].revoked_at is not None or found[1].expires_at <= self._clock.now():
                return None
            return found[1]

    def is_spent(self, refresh_token: str) -> bool:
        """Say whether a refresh token was exchanged already, or is unknown."""
        with self._database.read() as session:
            found = store.by_refresh_token(session, opaque.digest(refresh_token))
        return found is None or found[0].spent_at is not None

    def refresh(self, refresh_token: str, grant: Grant, origin: Origin, scopes: Collection[str] | None = None) -> Tokens:
        """Spend a refresh token for new tokens.

        scopes: those of the access token; left out: all that were allowed. The next refresh token has all of them again
        (RFC 6749 6). Raises Reused, and the family has ended; Refusal 401 when the sign-in is over.
        """
        now = self._clock.now()
        digest = opaque.digest(refresh_token)

        def work(session: Session) -> Tokens | None:
            user = store.live_user(session, grant.id)
            if user is None:
                raise refusals.token_revoked()
            if not store.spend(session, digest, now):
                store.end(session, grant.id, now)
                audit.write(session, origin, now, "refresh-token.reused", user.id, sign_in=grant.id)
                return None
            return self.issue(session, user, grant, now, scopes=scopes)

        found = self._database.run(work)
        if found is None:
            raise Reused
        return found
