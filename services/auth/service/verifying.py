"""What a token is worth right now: the answer to the neighbours and to the service's own endpoints.

Nothing is cached here: revocation counts at once.
"""

from __future__ import annotations

import datetime as dt
import hmac
import threading

from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.models import Client
from services.auth.rules import credentials
from services.auth.service.identity import Caller, Verified
from services.auth.service.issuing import ROLE, SUBJECTS
from services.auth.service.sign_in import ACCESS
from services.auth.service.signing import NEVER, KeyRing
from services.auth.store import grants, tokens
from services.common.clock import Clock
from services.common.database import Database

CLIENT_SUBJECT = "client:"  # begins `sub` of a token that a client got for itself, so that no client's name is taken for a role


class LastUsed:
    """When each access token was used last, written behind: a check costs no write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._used: dict[str, dt.datetime] = {}

    def note(self, token_id: str, now: dt.datetime) -> None:
        with self._lock:
            self._used[token_id] = now

    def flush(self) -> None:
        """Write what was noted. At most the notes since the last call are lost with the process."""
        with self._lock:
            used, self._used = self._used, {}
        if used:
            self._database.run(lambda session: tokens.mark_used(session, used))


class Verifier:
    """Tokens of every kind. Thread-safe."""

    def __init__(self, database: Database, clock: Clock, keys: KeyRing) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self.last_used = LastUsed(database)

    def token(self, token: str) -> Verified:
        """What the token says. Raises Refusal 401 with the reason."""
        with self._database.read() as session:
            return self._token(session, token)

    def token_for(self, client_id: str, secret: str, token: str) -> Verified | None:
        """The same for a neighbour; None when its own credentials are not a service's. Raises Refusal 401 with the reason."""
        with self._database.read() as session:
            client = self._client(session, client_id, secret)
            return self._token(session, token) if client is not None and client.service else None

    def _token(self, session: Session, token: str) -> Verified:
        prefix = credentials.prefix_of(token) if token.startswith("gh_") else None
        if prefix is not None and prefix in credentials.ACCESS_TOKEN_OF_PREFIX:
            return self._access_token(session, token)
        if token.count(".") != 2:
            raise refusals.token_invalid()
        claims, kind = self._keys.read(token)
        subject = str(claims["sub"])
        expires = dt.datetime.fromtimestamp(float(claims["exp"]), dt.UTC)
        ends = expires if expires < NEVER else None
        jti = str(claims["jti"])
        if kind == ROLE and subject in SUBJECTS:
            return self._role_token(session, jti, subject, float(claims["iat"]), ends)
        if kind != ACCESS:
            raise refusals.token_invalid()
        if grants.is_revoked(session, jti):
            raise refusals.token_revoked()
        if subject.startswith(CLIENT_SUBJECT):
            client = tokens.client(session, subject.removeprefix(CLIENT_SUBJECT))
            if client is None:
                raise refusals.token_revoked()
            return Verified("client", jti, expires_at=ends, subject=subject, label=client.name, client_id=client.id)
        user = grants.live_user(session, str(claims.get("sid")))
        if user is None or user.id != subject:
            raise refusals.token_revoked()
        return Verified(
            "user", jti, user=user, expires_at=ends, subject=subject, scope=claims.get("scope"), client_id=claims.get("client_id")
        )

    def _access_token(self, session: Session, secret: str) -> Verified:
        now = self._clock.now()
        found = tokens.access_token(session, credentials.digest(secret))
        if found is None:
            raise refusals.token_invalid()
        token, user = found
        if not user.active:
            raise refusals.token_revoked()
        if token.expires_at is not None and token.expires_at <= now:
            raise refusals.token_expired()
        self.last_used.note(token.id, now)
        return Verified(
            token.kind, token.id, token.permission, user, list(token.policy), token.expires_at, subject=user.id, label=token.label
        )

    def _role_token(self, session: Session, jti: str, subject: str, issued: float, ends: dt.datetime | None) -> Verified:
        kept, cut_off = tokens.with_cut_off(session, jti)
        if kept is None or kept.revoked_at is not None or kept.subject != subject:
            raise refusals.token_revoked()
        if cut_off is not None and issued < cut_off.timestamp():
            raise refusals.subject_expired()
        return Verified("role", jti, expires_at=ends, subject=subject, label=kept.label)

    def caller(self, token: str) -> tuple[Caller, str | None]:
        """The person behind a sign-in's access JWT, and the OAuth2 client that got it, if one did. Raises Refusal 401."""
        claims, kind = self._keys.read(token)
        if kind != ACCESS:
            raise refusals.token_invalid()
        with self._database.read() as session:
            if grants.is_revoked(session, str(claims["jti"])):
                raise refusals.token_revoked()
            found = grants.live(session, str(claims.get("sid")))
        if found is None or found[1].id != claims["sub"]:
            raise refusals.token_revoked()
        grant, user = found
        return Caller(user, grant.method, grant.id), grant.client_id

    def client(self, client_id: str, secret: str) -> Client | None:
        """The client, when the secret is right."""
        with self._database.read() as session:
            return self._client(session, client_id, secret)

    @staticmethod
    def _client(session: Session, client_id: str, secret: str) -> Client | None:
        if len(client_id) > 36 or "\x00" in client_id:
            return None
        client = tokens.client(session, client_id)
        if client is None or client.secret_digest is None or not hmac.compare_digest(client.secret_digest, credentials.digest(secret)):
            return None
        return client
