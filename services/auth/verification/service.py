"""What a token is worth right now: the answer to the neighbours and to the service's own endpoints.

Nothing is cached here: revocation counts at once.
"""

from __future__ import annotations

import datetime as dt
import functools
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from services.auth import refusals
from services.auth.access import Application, Caller, Verified
from services.auth.credentials.rules import opaque
from services.auth.models import Person, person_in
from services.auth.signing.rules import ACCESS, CLIENT_SUBJECT, NEVER, ROLE, SUBJECTS
from services.auth.signing.service import KeyRing
from services.auth.verification import store
from services.common.clock import Clock
from services.common.last_used import LastUsed
from services.common.lookups import Lookups
from services.common.refusal import Refusal


@dataclass(frozen=True, slots=True)
class _Question:
    """What to ask the database about a token. judge: reads the answer, without the columns of who asks; raises Refusal 401."""

    statement: sa.Select[*tuple[Any, ...]]
    parameters: dict[str, Any]
    judge: Callable[[tuple[Any, ...]], Verified]


class Service(NamedTuple):
    """A neighbour that may ask."""

    id: str
    name: str


class Verifier:
    """Tokens of every kind, each by one statement. Thread-safe."""

    def __init__(
        self, lookups: Lookups, clock: Clock, keys: KeyRing, last_used: LastUsed, service_clients: Iterable[tuple[str, str]] = ()
    ) -> None:
        """service_clients: names and secrets of the neighbours in the settings. Each is valid, whichever of a name's is in the database."""
        self._lookups = lookups
        self._clock = clock
        self._keys = keys
        self._last_used = last_used
        self._of_settings: dict[str, list[str]] = {}
        for name, secret in service_clients:
            self._of_settings.setdefault(name, []).append(opaque.digest(secret))

    def service(self, client_id: str, secret: str) -> Service | None:
        """Return the neighbour behind client credentials, None when they are not right."""
        digest, allowed, *found = self._look(store.SERVICE, {}, client_id)
        return Service(*found) if self._is_service(client_id, digest, allowed, secret) else None

    def user_for(self, client_id: str, secret: str, user_id: str) -> Person | None:
        """Return an active user, for a neighbour; None when its credentials are not a service's. Raises Refusal 401 for any other user."""
        asked = user_id if len(user_id) <= 36 and "\x00" not in user_id and user_id.isascii() else None
        row = self._look(store.USER, {"user": asked}, client_id)
        if not self._is_service(client_id, row[0], row[1], secret):
            return None
        person = person_in(row)
        if person is None or not person.active:
            raise refusals.user_unknown()
        return person

    def token(self, token: str) -> Verified:
        """Say what a token is worth. Raises Refusal 401 with the reason."""
        question = self._question(token)
        return question.judge(self._look(question.statement, question.parameters, None)[2:])

    def token_for(self, client_id: str, secret: str, token: str) -> Verified | None:
        """Do as `token`, for a neighbour; None when its own credentials are not a service's. Raises Refusal 401 with the reason."""
        try:
            question = self._question(token)
        except Refusal:
            if self.service(client_id, secret) is None:
                return None
            raise
        digest, allowed, *found = self._look(question.statement, question.parameters, client_id)
        return question.judge(tuple(found)) if self._is_service(client_id, digest, allowed, secret) else None

    def caller(self, token: str) -> tuple[Caller, Application | None]:
        """Return the person behind a sign-in's access JWT, and the application that got it, if one did. Raises Refusal 401."""
        claims, kind, kid = self._keys.read(token)
        if kind != ACCESS:
            raise refusals.token_invalid()
        grant_id = str(claims.get("sid"))
        asked = {"kid": kid, "jti": str(claims["jti"]), "grant": grant_id}
        method, client_id, person = self._signed_in(self._look(store.SIGN_IN, asked, None)[2:], str(claims["sub"]))
        application = Application(client_id, frozenset(str(claims.get("scope", "")).split())) if client_id is not None else None
        return Caller(person, method, grant_id), application

    def _is_service(self, client_id: str, digest: str | None, allowed: bool | None, secret: str) -> bool:
        given = opaque.digest(secret)
        valid = [] if digest is None else [digest, *self._of_settings.get(client_id, ())]
        return any(hmac.compare_digest(one, given) for one in valid) and bool(allowed)

    def _look(self, statement: sa.Select[*tuple[Any, ...]], parameters: dict[str, Any], client_id: str | None) -> tuple[Any, ...]:
        known = client_id if client_id is not None and len(client_id) <= 36 and "\x00" not in client_id else None
        row = self._lookups.one(statement, {**parameters, "client": known})
        assert row is not None  # the statements of `store` always have one
        return tuple(row)

    def _question(self, token: str) -> _Question:
        """Choose the statement for a token. Raises Refusal 401 for what cannot be a token of ours."""
        if token.startswith("gh_") and opaque.prefix_of(token) in opaque.ACCESS_TOKEN_OF_PREFIX:
            return _Question(store.ACCESS_TOKEN, {"digest": opaque.digest(token)}, self._access_token)
        if token.count(".") != 2:
            raise refusals.token_invalid()
        claims, kind, kid = self._keys.read(token)
        subject, asked = str(claims["sub"]), {"kid": kid, "jti": str(claims["jti"])}
        if kind == ROLE and subject in SUBJECTS:
            return _Question(store.ROLE_TOKEN, asked, functools.partial(self._role_token, claims))
        if kind != ACCESS:
            raise refusals.token_invalid()
        if subject.startswith(CLIENT_SUBJECT):
            client_id = subject.removeprefix(CLIENT_SUBJECT)
            return _Question(store.CLIENT_TOKEN, {**asked, "subject": client_id}, functools.partial(self._client_token, claims))
        return _Question(store.SIGN_IN, {**asked, "grant": str(claims.get("sid"))}, functools.partial(self._user_token, claims))

    def _access_token(self, row: tuple[Any, ...]) -> Verified:
        now = self._clock.now()
        token_id, kind, label, permission, policy, expires_at = row[:6]
        person = person_in(row)
        if token_id is None or person is None:
            raise refusals.token_invalid()
        if not person.active:
            raise refusals.token_revoked()
        if expires_at is not None and expires_at <= now:
            raise refusals.token_expired()
        self._last_used.note(token_id, now)
        return Verified(kind, token_id, permission, person, policy, expires_at, subject=person.id, label=label)

    @staticmethod
    def _role_token(claims: dict[str, Any], row: tuple[Any, ...]) -> Verified:
        _check_not_revoked(row)
        subject, label, revoked_at, cut_off = row[2:]
        if revoked_at is not None or subject != claims["sub"]:
            raise refusals.token_revoked()
        if cut_off is not None and float(claims["iat"]) < cut_off.timestamp():
            raise refusals.subject_expired()
        return Verified("role", str(claims["jti"]), expires_at=_end(claims), subject=subject, label=label)

    @staticmethod
    def _client_token(claims: dict[str, Any], row: tuple[Any, ...]) -> Verified:
        _check_not_revoked(row)
        client_id, name = row[2:]
        if client_id is None:
            raise refusals.token_revoked()
        return Verified("client", str(claims["jti"]), expires_at=_end(claims), subject=str(claims["sub"]), label=name, client_id=client_id)

    def _user_token(self, claims: dict[str, Any], row: tuple[Any, ...]) -> Verified:
        subject = str(claims["sub"])
        person = self._signed_in(row, subject)[2]
        return Verified(
            "user",
            str(claims["jti"]),
            user=person,
            expires_at=_end(claims),
            subject=subject,
            scope=claims.get("scope"),
            client_id=claims.get("client_id"),
        )

    def _signed_in(self, row: tuple[Any, ...], subject: str) -> tuple[str, str | None, Person]:
        """Return method, client and person of a sign-in that is still valid. Raises Refusal 401.

        This service's own clock, without skew, says when it ends: it must not outlive the login key that began it.
        """
        _check_not_revoked(row)
        person = person_in(row)
        if person is None or person.id != subject:
            raise refusals.token_revoked()
        if row[4] <= self._clock.now():
            raise refusals.token_expired()
        return row[2], row[3], person


def _check_not_revoked(row: tuple[Any, ...]) -> None:
    """Refuse a JWT whose key is gone or that was revoked. row: begins with the key's id (None when gone) and the revoked jti, if any."""
    kid, revoked = row[:2]
    if kid is None:
        raise refusals.token_invalid()
    if revoked is not None:
        raise refusals.token_revoked()


def _end(claims: dict[str, Any]) -> dt.datetime | None:
    expires = dt.datetime.fromtimestamp(float(claims["exp"]), dt.UTC)
    return expires if expires < NEVER else None
