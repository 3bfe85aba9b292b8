"""Access tokens: what a user gives to programs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.access import LOGIN_KEY, Caller, require_password
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.credentials.rules import opaque, policies
from services.auth.credentials.service.bounds import earliest, end_of, expiry
from services.auth.credentials.service.notes import Form, Notes, SignInEnded, Told
from services.auth.credentials.store import access_tokens as store
from services.auth.credentials.store import accounts
from services.auth.models import AccessToken
from services.common.clock import Clock
from services.common.database import Database


class AccessTokens:
    """A user's own tokens. Thread-safe."""

    def __init__(self, database: Database, clock: Clock, notes: Notes) -> None:
        self._database = database
        self._clock = clock
        self._notes = notes

    def page(self, caller: Caller, page: int, per_page: int) -> tuple[list[AccessToken], int]:
        """Return one page of the caller's tokens, newest first, and how many there are in all."""
        with self._database.read() as session:
            return store.page_of_user(session, caller.user.id, page, per_page)

    def get(self, caller: Caller, token_id: str) -> AccessToken:
        """Return one token of the caller. Raises Refusal 404."""
        with self._database.read() as session:
            found = store.of_user(session, caller.user.id, token_id)
        if found is None:
            raise refusals.not_found("token")
        return found

    def add(self, caller: Caller, fields: Mapping[str, Any], origin: Origin, form: Form | None = None) -> tuple[AccessToken, str]:
        """Create a token; returns its record and its secret. A token that is created with a login key ends with the key.

        form: the page's form that asks; its note, with the secret, is stored in the same transaction, so the form creates one token.
        Raises Refusal 401 when the caller has been removed or disabled meanwhile, 422; with a form SentBefore, SignInEnded.
        """
        kind = fields["kind"]
        policy = policies.clean(fields.get("policy", []))
        problem = policies.problem(kind, policy)
        if problem:
            raise refusals.invalid_fields(policy=problem)
        secret = opaque.make(opaque.KIND_OF_ACCESS_TOKEN[kind])

        def work(session: Session) -> AccessToken:
            now = self._clock.now()
            user = accounts.by_id(session, caller.user.id, lock=True)
            if user is None or not user.active:
                raise refusals.token_revoked()
            token = AccessToken(
                id=str(uuid.uuid4()),
                user_id=caller.user.id,
                kind=kind,
                label=fields.get("label", ""),
                permission=fields.get("permission", "full"),
                policy=policy,
                digest=opaque.digest(secret),
                expires_at=earliest(expiry(now, fields.get("expires_in")), end_of(session, caller, now)),
                last_used_at=None,
                created_at=now,
                by_login_key=caller.method == LOGIN_KEY,
            )
            session.add(token)
            audit.write(session, origin, now, "access-token.add", token.id, kind=kind, label=token.label)
            if form is not None:
                self._notes.write(session, form.cookie, form.note_id, Told(form.text, secret))
            return token

        try:
            return self._database.run(work), secret
        except IntegrityError:
            if form is None:
                raise
            raise SignInEnded from None

    def rotate(self, caller: Caller, token_id: str, origin: Origin) -> tuple[AccessToken, str]:
        """Give a token a new secret; the old one ends at once. A login key may do so only for tokens that were created with it.

        Raises Refusal 401, 403, 404.
        """

        def work(session: Session) -> tuple[AccessToken, str]:
            accounts.by_id(session, caller.user.id, lock=True)
            end_of(session, caller, self._clock.now())
            token = store.of_user(session, caller.user.id, token_id, lock=True)
            if token is None:
                raise refusals.not_found("token")
            if not token.by_login_key:
                require_password(caller)
            secret = opaque.make(opaque.KIND_OF_ACCESS_TOKEN[token.kind])
            token.digest = opaque.digest(secret)
            audit.write(session, origin, self._clock.now(), "access-token.rotate", token.id)
            return token, secret

        return self._database.run(work)

    def remove(self, caller: Caller, token_id: str, origin: Origin) -> None:
        """Remove a token; it ends at once. Raises Refusal 404."""

        def work(session: Session) -> None:
            token = store.of_user(session, caller.user.id, token_id, lock=True)
            if token is None:
                raise refusals.not_found("token")
            session.delete(token)
            audit.write(session, origin, self._clock.now(), "access-token.remove", token_id, kind=token.kind, label=token.label)

        self._database.run(work)
