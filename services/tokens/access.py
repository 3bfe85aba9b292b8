"""Who asks, and who may do what.

A caller shows a role token: a JWT whose `sub` is a role. The auth service signs it or, for tokens that were printed long ago, a shared
secret does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from services.common.clock import Clock
from services.common.identity import house_jwt
from services.common.identity.client import IdentityClient
from services.common.identity.refusals import AuthUnavailable, Unauthenticated
from services.common.refusal import Refusal
from services.tokens import refusals
from services.tokens.settings import SUBJECTS

EXHIBITION, GENERATOR, ADMIN = "exhibition", "generator", "admin"

ROLE = "role"  # the kind of identity that auth calls a role token
SCOPE = "tokens"  # what an application must be allowed to come here in a person's name
ROLE_TYP = "JWT"  # `typ` of its header; a sign-in's access token has another
REMEMBERED_S = 5.0
_REMEMBERED = 1000  # tokens
_UNCHECKED = ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti")


class Headers(Protocol):
    """A request's headers."""

    def get(self, name: str, /) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. subject: its role. fault: what is wrong with the time at which its token was issued; the role is judged first."""

    subject: str
    fault: Refusal | None = None


def may(caller: Caller, subject: str) -> bool:
    """Say whether the caller has this role; `admin` has every role."""
    return caller.subject in (subject, ADMIN)


def require(caller: Caller, subject: str) -> None:
    """Let only callers of this role pass. Raises Refusal 403, and 401 for a time of issue that cannot be read."""
    if not may(caller, subject):
        raise refusals.wrong_subject()
    if caller.fault is not None:
        raise caller.fault


class RoleTokens:
    """Checks role tokens in the order of the original: signature, times, subject, time of issue. Thread-safe.

    asking: whether auth is asked about each token, so that a revoked one is refused within 5 s; otherwise its public keys are enough.
    """

    def __init__(
        self, identities: IdentityClient, secret: str | None, earliest_issue: Mapping[str, dt.datetime], clock: Clock, *, asking: bool
    ) -> None:
        self._identities = identities
        self._asking = asking
        self._secret = secret
        self._earliest = {subject: moment.timestamp() for subject, moment in earliest_issue.items()}
        self._clock = clock
        self._valid: dict[str, tuple[float, dict[str, Any]]] = {}

    def caller(self, headers: Headers) -> Caller:
        """Say who sent a request with these headers. Raises Refusal 401, 403, 503."""
        claims = self._verified(_bearer(headers))
        subject = claims.get("sub")
        if not isinstance(subject, str) or subject not in SUBJECTS:
            raise refusals.wrong_subject()
        return Caller(subject, self._fault_of_issue(subject, claims))

    def _fault_of_issue(self, subject: str, claims: Mapping[str, Any]) -> Refusal | None:
        """Say what is wrong with a token's time of issue: it cannot be read, or the settings allow only later ones to this role."""
        try:
            issued = _time(claims, "iat")
        except Refusal as unreadable:
            return unreadable
        cut_off = self._earliest.get(subject)
        if cut_off is not None and (issued is None or issued < cut_off):
            return refusals.subject_expired()
        return None

    def _verified(self, token: str) -> dict[str, Any]:
        """The claims of a token that is valid now. Raises Refusal 401, 403, 503."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise refusals.invalid_auth() from None
        if header.get("alg") == "HS256":
            return self._in_time(self._shared(token))
        if header.get("typ") != ROLE_TYP:
            raise refusals.invalid_auth()
        try:
            claims = self._identities.claims(token)
            if self._asking and self._identities.token(token, scope=SCOPE).kind != ROLE:
                raise refusals.wrong_subject()
        except Unauthenticated as error:
            raise _refused(error) from None
        except AuthUnavailable:
            raise refusals.auth_unavailable() from None
        return claims

    def _shared(self, token: str) -> dict[str, Any]:
        """The claims of a token signed with the secret. A valid signature is remembered: all visitors of a hall share one token."""
        now = self._clock.monotonic()
        known = self._valid.get(token)
        if known is not None and known[0] > now:
            return known[1]
        if self._secret is None:
            raise refusals.invalid_auth()
        options: Any = dict.fromkeys(_UNCHECKED, False)
        try:
            claims: dict[str, Any] = jwt.decode(token, self._secret, ["HS256"], options=options)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise refusals.invalid_auth() from None
        if len(self._valid) >= _REMEMBERED:
            self._valid.clear()
        self._valid[token] = (now + REMEMBERED_S, claims)
        return claims

    def _in_time(self, claims: dict[str, Any]) -> dict[str, Any]:
        now = self._clock.now().timestamp()
        starts, ends = _time(claims, "nbf"), _time(claims, "exp")
        if starts is not None and starts > now:
            raise refusals.not_yet_active()
        if ends is not None and ends <= now:
            raise refusals.token_expired()
        return claims


def _refused(error: Unauthenticated) -> Refusal:
    match error.code:
        case "token-expired":
            return refusals.token_expired()
        case "token-not-yet-active":
            return refusals.not_yet_active()
        case "subject-expired":
            return refusals.subject_expired()
    return refusals.invalid_auth()


def _bearer(headers: Headers) -> str:
    """The token in `Authorization`, or in `Authentication`, which the original's documentation names. Raises Refusal 401."""
    given = {value for name in ("Authorization", "Authentication") if (value := headers.get(name))}
    if len(given) != 1:
        raise refusals.invalid_auth()
    scheme, _, token = given.pop().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > house_jwt.LONGEST:
        raise refusals.invalid_auth()
    return token


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """A claim in epoch seconds. Raises Refusal 401 when it is anything else."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise refusals.invalid_auth()
    return float(value)
