"""What is handed out to programs: access tokens of users, and role tokens."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.access import LOGIN_KEY, Caller, require_password
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.models import AccessToken, CutOff, RoleToken
from services.auth.rules import credentials, policies
from services.auth.service.bounds import earliest, end_of
from services.auth.service.signing import KeyRing
from services.auth.store import tokens, users
from services.common.clock import Clock
from services.common.database import Database

SUBJECTS = ("public", "exhibition", "generator", "admin")
ROLE = "JWT"


def _expiry(now: dt.datetime, expires_in: int | None) -> dt.datetime | None:
    return now + dt.timedelta(seconds=expires_in) if expires_in is not None else None


class AccessTokens:
    """A user's own tokens."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(self, caller: Caller, page: int, per_page: int) -> tuple[list[AccessToken], int]:
        with self._database.read() as session:
            return tokens.page_of_user(session, caller.user.id, page, per_page)

    def get(self, caller: Caller, token_id: str) -> AccessToken:
        """Raises Refusal 404."""
        with self._database.read() as session:
            found = tokens.of_user(session, caller.user.id, token_id)
        if found is None:
            raise refusals.not_found("token")
        return found

    def add(
        self, caller: Caller, fields: Mapping[str, Any], origin: Origin, together: Callable[[Session, AccessToken, str], None] | None = None
    ) -> tuple[AccessToken, str]:
        """(the token's record, its secret). By a login key it ends with the key. together: writes what belongs to it; when it raises,
        nothing is stored.

        Raises Refusal 401 when the caller is gone or disabled meanwhile, 422.
        """
        kind = fields["kind"]
        policy = policies.clean(fields.get("policy", []))
        problem = policies.problem(kind, policy)
        if problem:
            raise refusals.invalid_fields(policy=problem)
        secret = credentials.make(credentials.KIND_OF_ACCESS_TOKEN[kind])

        def work(session: Session) -> AccessToken:
            now = self._clock.now()
            user = users.by_id(session, caller.user.id, lock=True)
            if user is None or not user.active:
                raise refusals.token_revoked()
            token = AccessToken(
                id=str(uuid.uuid4()),
                user_id=caller.user.id,
                kind=kind,
                label=fields.get("label", ""),
                permission=fields.get("permission", "full"),
                policy=policy,
                digest=credentials.digest(secret),
                expires_at=earliest(_expiry(now, fields.get("expires_in")), end_of(session, caller, now)),
                last_used_at=None,
                created_at=now,
                by_login_key=caller.method == LOGIN_KEY,
            )
            session.add(token)
            audit.write(session, origin, now, "access-token.add", token.id, kind=kind, label=token.label)
            if together is not None:
                together(session, token, secret)
            return token

        return self._database.run(work), secret

    def rotate(self, caller: Caller, token_id: str, origin: Origin) -> tuple[AccessToken, str]:
        """The same token with a new secret; the old one ends at once. By a login key only what it made itself.

        Raises Refusal 401, 403, 404.
        """

        def work(session: Session) -> tuple[AccessToken, str]:
            users.by_id(session, caller.user.id, lock=True)
            end_of(session, caller, self._clock.now())
            token = tokens.of_user(session, caller.user.id, token_id, lock=True)
            if token is None:
                raise refusals.not_found("token")
            if not token.by_login_key:
                require_password(caller)
            secret = credentials.make(credentials.KIND_OF_ACCESS_TOKEN[token.kind])
            token.digest = credentials.digest(secret)
            audit.write(session, origin, self._clock.now(), "access-token.rotate", token.id)
            return token, secret

        return self._database.run(work)

    def remove(self, caller: Caller, token_id: str, origin: Origin) -> None:
        """Raises Refusal 404."""

        def work(session: Session) -> None:
            token = tokens.of_user(session, caller.user.id, token_id, lock=True)
            if token is None:
                raise refusals.not_found("token")
            session.delete(token)
            audit.write(session, origin, self._clock.now(), "access-token.remove", token_id, kind=token.kind, label=token.label)

        self._database.run(work)


class RoleTokens:
    """JWTs whose `sub` is a role."""

    def __init__(self, database: Database, clock: Clock, keys: KeyRing) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys

    def page(self, subject: str | None, page: int, per_page: int) -> tuple[list[RoleToken], int]:
        with self._database.read() as session:
            return tokens.role_tokens(session, subject, page, per_page)

    def issue(
        self,
        subject: str,
        label: str,
        expires_in: int | None,
        not_before: dt.datetime | None,
        origin: Origin,
        caller: Caller | None = None,
    ) -> tuple[RoleToken, str]:
        """(its record, the JWT). By a login key it ends with the key. caller: None for the command line. Raises Refusal 401, 422."""

        def work(session: Session) -> tuple[RoleToken, str]:
            now = self._clock.now().replace(microsecond=0)  # what `iat` can hold, so that a cut-off means the same on both sides
            if caller is not None:
                users.by_id(session, caller.user.id, lock=True)
            expires = earliest(_expiry(now, expires_in), end_of(session, caller, now))
            if expires is not None and not_before is not None and not_before >= expires:
                raise refusals.invalid_fields(not_before="Not before the end of the token.")
            token, jti, kid = self._keys.sign(session, subject, issued=now, expires=expires, kind=ROLE, not_before=not_before)
            kept = RoleToken(
                jti=jti, subject=subject, label=label, not_before=not_before, expires_at=expires, issued_at=now, kid=kid, revoked_at=None
            )
            session.add(kept)
            audit.write(session, origin, now, "role-token.issue", jti, subject=subject, label=label)
            return kept, token

        return self._database.run(work)

    def revoke(self, jti: str, origin: Origin) -> None:
        """Raises Refusal 404."""

        def work(session: Session) -> None:
            now = self._clock.now()
            token = tokens.role_token(session, jti)
            if token is None or token.revoked_at is not None:
                raise refusals.not_found("role token")
            token.revoked_at = now
            audit.write(session, origin, now, "role-token.revoke", jti, subject=token.subject)

        self._database.run(work)

    def cut_off(self, subject: str, moment: dt.datetime, origin: Origin, caller: Caller) -> CutOff:
        """Refuse the subject's tokens that were issued before `moment`.

        Not back to an earlier one by a login key: tokens without end would be good again. Raises Refusal 403, 404.
        """
        if subject not in SUBJECTS:
            raise refusals.not_found("subject")

        def work(session: Session) -> CutOff:
            before = session.get(CutOff, subject, with_for_update=True)
            if before is not None and moment < before.cut_off:
                require_password(caller)
            tokens.put_cut_off(session, subject, moment)
            audit.write(session, origin, self._clock.now(), "role-token.cut-off", subject, cut_off=moment.isoformat())
            return CutOff(subject=subject, cut_off=moment)

        return self._database.run(work)

    def cut_offs(self) -> list[CutOff]:
        with self._database.read() as session:
            return list(session.scalars(sa.select(CutOff).order_by(CutOff.subject)))
