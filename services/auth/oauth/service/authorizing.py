"""What OAuth2 clients get: codes after consent, tokens for codes and refresh tokens, tokens of their own; and their revocation.

authlib applies the protocol's rules (`oauth/server/`); this module stores, each step in one transaction.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.access import Caller, Verified
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.credentials.rules import opaque
from services.auth.credentials.service.grants import BEARER, Grants, Reused, Tokens
from services.auth.credentials.store import accounts
from services.auth.credentials.store import grants as grant_store
from services.auth.models import AuthorizationCode, Client, Grant, Person, User
from services.auth.oauth import store
from services.auth.signing.rules import ACCESS, CLIENT_SUBJECT, ROLE
from services.auth.signing.service import KeyRing
from services.auth.verification.service import Verifier
from services.common.clock import Clock
from services.common.database import Database
from services.common.refusal import Refusal

CODE_S = 60
METHOD = "code"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for at the authorization endpoint, checked.

    redirect_uri: empty when it gave none, and then need not repeat one with the code (RFC 6749 4.1.3).
    """

    redirect_uri: str
    scope: str
    nonce: str | None
    challenge: str


class Authorizing:
    """Codes and tokens of OAuth2 clients. Thread-safe."""

    def __init__(
        self, database: Database, clock: Clock, keys: KeyRing, grants: Grants, verifier: Verifier, *, access_s: int, refresh_days: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._grants = grants
        self._verifier = verifier
        self._access_s = access_s
        self._refresh = dt.timedelta(days=refresh_days)

    def find_client(self, client_id: str | None) -> Client | None:
        """Return the client of this id, None for what cannot be one."""
        if not client_id or len(client_id) > 36 or "\x00" in client_id:
            return None
        with self._database.read() as session:
            return store.client(session, client_id)

    def new_code(self, client: Client, caller: Caller, asked: Request, auth_time: dt.datetime, origin: Origin) -> str:
        """Create a code for the client, valid for a minute.

        Raises Refusal 401 when the sign-in has ended meanwhile, 404 when the client is gone.
        """
        code = opaque.make(opaque.CODE)
        user = caller.user

        def work(session: Session) -> None:
            now = self._clock.now()
            accounts.by_id(session, user.id, lock=True)  # what ends all sign-ins holds this lock
            if grant_store.browser_session(session, caller.session or "", now) is None:
                raise refusals.token_revoked()
            session.add(
                AuthorizationCode(
                    digest=opaque.digest(code),
                    client_id=client.id,
                    user_id=user.id,
                    redirect_uri=asked.redirect_uri,
                    scope=asked.scope,
                    nonce=asked.nonce,
                    challenge=asked.challenge,
                    auth_time=auth_time,
                    expires_at=now + dt.timedelta(seconds=CODE_S),
                    grant_id=None,
                )
            )
            audit.write(session, origin, now, "consent", client.id, scope=asked.scope)

        try:
            self._database.run(work)
        except IntegrityError:  # the client is no longer there
            raise refusals.not_found("client") from None
        return code

    def find_code(self, code: str, client: Client, origin: Origin) -> AuthorizationCode | None:
        """Return the code when it is the client's and still valid.

        One that was used before ends the sign-in that it gave (RFC 6749 4.1.2).
        """
        if opaque.prefix_of(code) != opaque.CODE:
            return None
        digest = opaque.digest(code)
        with self._database.read() as session:
            kept = store.code(session, digest)
        if kept is None or kept.client_id != client.id:
            return None
        if kept.grant_id is not None:
            self._end_reused(kept, origin)
            return None
        return kept if kept.expires_at > self._clock.now() else None

    def _end_reused(self, kept: AuthorizationCode, origin: Origin) -> None:
        def work(session: Session) -> None:
            now = self._clock.now()
            grant_store.end(session, kept.grant_id or "", now)
            audit.write(session, origin, now, "code.reused", kept.client_id)

        self._database.run(work)

    def user_of(self, user_id: str) -> User | None:
        """Return the user, None when removed or disabled."""
        with self._database.read() as session:
            user = accounts.by_id(session, user_id)
        return user if user and user.active else None

    def exchange(self, kept: AuthorizationCode, client: Client, user: User, origin: Origin) -> dict[str, Any] | None:
        """Exchange a code for tokens, None when another request was faster: the code came twice, and what that request got ends as well."""
        now = self._clock.now()
        refreshable = "refresh_token" in client.grants
        lifetime = self._refresh if refreshable else dt.timedelta(seconds=self._access_s)

        def work(session: Session) -> dict[str, Any] | None:
            grant_id = str(uuid.uuid4())
            if not store.claim_code(session, kept.digest, grant_id):
                return None
            grant = self._grants.add(session, user, client, kept.scope, METHOD, now + lifetime, now, grant_id)
            issued = self._grants.issue(session, user, grant, now, refreshable=refreshable).shown()
            if "openid" in kept.scope.split():
                issued["id_token"] = self._id_token(session, user, client, kept, now)
            audit.write(session, origin.acting(user.email, user.id), now, "login", user.id, method=METHOD, client=client.id)
            return issued

        found = self._database.run(work)
        if found is None:
            with self._database.read() as session:
                used = store.code(session, kept.digest)
            if used is not None:  # else what ended all sign-ins deleted it
                self._end_reused(used, origin)
        return found

    def _id_token(self, session: Session, user: User, client: Client, kept: AuthorizationCode, now: dt.datetime) -> str:
        scopes = kept.scope.split()
        claims: dict[str, Any] = {"auth_time": int(kept.auth_time.timestamp())}
        if kept.nonce:
            claims["nonce"] = kept.nonce
        if "profile" in scopes:
            claims["name"] = user.full_name
        if "email" in scopes:
            claims["email"] = user.email
        expires = now + dt.timedelta(seconds=self._access_s)
        return self._keys.sign(session, user.id, issued=now, expires=expires, kind=ROLE, audience=client.id, claims=claims)[0]

    def refresh(self, refresh_token: str, grant: Grant, origin: Origin, scopes: Collection[str] | None = None) -> Tokens | None:
        """Exchange a refresh token for new tokens; None when it was spent before (its family has ended now) or the sign-in is over.

        scopes: as `Grants.refresh`.
        Raises Refusal 503 when nothing can be signed at the moment; the refresh token stays valid then.
        """
        try:
            return self._grants.refresh(refresh_token, grant, origin, scopes)
        except Reused:
            return None
        except Refusal as refused:
            if refused.status == 503:
                raise
            return None

    def for_itself(self, client: Client, origin: Origin) -> dict[str, Any]:
        """Issue an access token that speaks for the client alone."""
        now = self._clock.now()

        def work(session: Session) -> dict[str, Any]:
            expires = now + dt.timedelta(seconds=self._access_s)
            subject = CLIENT_SUBJECT + client.id
            token, _, _ = self._keys.sign(session, subject, issued=now, expires=expires, kind=ACCESS, claims={"client_id": client.id})
            audit.write(session, origin, now, "client.token", client.id)
            return {"access_token": token, "token_type": BEARER, "expires_in": self._access_s}

        return self._database.run(work)

    # introspection and revocation

    def find_token(self, token: str) -> Known | None:
        """Return a token of ours of any kind, None when it is not valid."""
        grant = self._grants.find(token)
        if grant is not None:
            user = self.user_of(grant.user_id)
            spent = self._grants.is_spent(token)
            return Known("refresh_token", grant.client_id, grant, None, user) if user and not spent else None
        try:
            verified = self._verifier.token(token)
        except Refusal as refused:
            if refused.status == 503:
                raise
            return None
        return Known("access_token", verified.client_id, None, verified, verified.user)

    def revoke(self, known: Known, origin: Origin) -> None:
        """Revoke a token: a refresh token ends its whole sign-in, an access JWT ends alone. known: a revocable one."""

        def work(session: Session) -> None:
            now = self._clock.now()
            if known.grant is not None:
                grant_store.end(session, known.grant.id, now)
                audit.write(session, origin, now, "sign-in.end", known.grant.user_id)
            elif known.verified is not None and known.verified.expires_at is not None:
                grant_store.revoke(session, known.verified.id, known.verified.expires_at)
                audit.write(session, origin, now, "token.revoke", known.verified.id)

        self._database.run(work)


@dataclass(frozen=True, slots=True)
class Known:
    """A valid token. client_id: of the client that it was given to. grant: of a refresh token; verified: of any other token."""

    kind: str
    client_id: str | None
    grant: Grant | None
    verified: Verified | None
    user: User | Person | None

    @property
    def revocable(self) -> bool:
        """Say whether it is a sign-in's or a client's; access tokens and role tokens are removed by routes of their own."""
        return self.verified is None or self.verified.kind in ("user", "client")
