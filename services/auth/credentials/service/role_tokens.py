"""Role tokens: JWTs that speak for a role, not for a person."""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.access import Caller, require_password
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.credentials.service.bounds import earliest, end_of, expiry
from services.auth.credentials.store import accounts
from services.auth.credentials.store import role_tokens as store
from services.auth.models import CutOff, RoleToken
from services.auth.signing.rules import ROLE, SUBJECTS
from services.auth.signing.service import KeyRing
from services.common.clock import Clock
from services.common.database import Database


class RoleTokens:
    """JWTs whose `sub` is a role. Thread-safe."""

    def __init__(self, database: Database, clock: Clock, keys: KeyRing) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys

    def page(self, subject: str | None, page: int, per_page: int) -> tuple[list[RoleToken], int]:
        """Return one page of those not revoked, newest first, and how many there are in all."""
        with self._database.read() as session:
            return store.page(session, subject, page, per_page)

    def issue(
        self,
        subject: str,
        label: str,
        expires_in: int | None,
        not_before: dt.datetime | None,
        origin: Origin,
        caller: Caller | None = None,
    ) -> tuple[RoleToken, str]:
        """Issue a token; returns its record and the JWT. One that is issued with a login key ends with the key.

        caller: None for the command line. Raises Refusal 401, 422.
        """

        def work(session: Session) -> tuple[RoleToken, str]:
            now = self._clock.now().replace(microsecond=0)  # what `iat` can hold, so that a cut-off means the same on both sides
            if caller is not None:
                accounts.by_id(session, caller.user.id, lock=True)
            expires = earliest(expiry(now, expires_in), end_of(session, caller, now))
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
        """Revoke a token. Raises Refusal 404."""

        def work(session: Session) -> None:
            now = self._clock.now()
            token = store.get(session, jti)
            if token is None or token.revoked_at is not None:
                raise refusals.not_found("role token")
            token.revoked_at = now
            audit.write(session, origin, now, "role-token.revoke", jti, subject=token.subject)

        self._database.run(work)

    def cut_off(self, subject: str, moment: dt.datetime, origin: Origin, caller: Caller) -> CutOff:
        """Refuse the subject's tokens that were issued before `moment`.

        A login key may not move it back: tokens without end would be valid again. Raises Refusal 403, 404.
        """
        if subject not in SUBJECTS:
            raise refusals.not_found("subject")

        def work(session: Session) -> CutOff:
            before = store.cut_off(session, subject)
            if before is not None and moment < before.cut_off:
                require_password(caller)
            store.put_cut_off(session, subject, moment)
            audit.write(session, origin, self._clock.now(), "role-token.cut-off", subject, cut_off=moment.isoformat())
            return CutOff(subject=subject, cut_off=moment)

        return self._database.run(work)

    def cut_offs(self) -> list[CutOff]:
        """Return the cut-offs of all subjects."""
        with self._database.read() as session:
            return store.cut_offs(session)
