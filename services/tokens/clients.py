"""Who is asking: role tokens (JWTs whose `sub` is a role), signed by the auth service or, the old ones, with a shared secret."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from typing import Any, Protocol

import jwt
import requests

from services.common import logging as logs
from services.common.clock import Clock
from services.common.http_client import Client
from services.tokens import refusals
from services.tokens.settings import SUBJECTS

log = logs.get(__name__)

ALGORITHMS = ("EdDSA", "RS256", "ES256")
SKEW_S = 30.0  # the auth service's clock may differ from ours; a secret of old has no such allowance
REMEMBERED_S = 5.0
_REMEMBERED = 1000  # tokens
_LONGEST = 8192  # characters of a JWT that is looked at


class KeySet:
    """The auth service's public keys by `kid`: kept 5 minutes, asked again once for an unknown `kid`, at most every 10 s."""

    FRESH_S = 300.0
    COOL_DOWN_S = 10.0

    def __init__(self, url: str, clock: Clock, client: Client | None = None) -> None:
        self._url = url.rstrip("/") + "/.well-known/jwks.json"
        self._clock = clock
        self._client = client or Client(retries=1)
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")

    def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of that name, None when there is none. Raises Refusal 503 when no key was ever fetched."""
        with self._lock:
            now = self._clock.monotonic()
            old = now - self._fetched > self.FRESH_S
            if (old or kid not in self._keys) and now - self._tried > self.COOL_DOWN_S:
                self._tried = now
                self._fetch(now)
            if self._fetched == float("-inf"):
                raise refusals.auth_unavailable()
            return self._keys.get(kid)

    def _fetch(self, now: float) -> None:
        try:
            answer = self._client.get(self._url)
            answer.raise_for_status()
            listed = answer.json()["keys"]
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            log.warning("keys of the auth service not fetched", error=type(error).__name__)
            return
        found = {}
        for one in listed:
            try:
                found[str(one["kid"])] = jwt.PyJWK(one)
            except (jwt.PyJWTError, KeyError, TypeError):
                log.warning("key of the auth service not understood")
        self._keys, self._fetched = found, now


class Headers(Protocol):
    """A request's headers."""

    def get(self, name: str, /) -> str | None: ...


class RoleTokens:
    """Checks a request's role token in the order of the original: signature, times, subject, time of issue."""

    def __init__(self, keys: KeySet, secret: str | None, earliest_issue: Mapping[str, dt.datetime], clock: Clock) -> None:
        self._keys = keys
        self._secret = secret
        self._earliest = {subject: moment.timestamp() for subject, moment in earliest_issue.items()}
        self._clock = clock
        self._right: dict[str, tuple[float, tuple[dict[str, Any], float]]] = {}

    def require(self, headers: Headers, subjects: frozenset[str]) -> str:
        """The caller's subject, one of `subjects` or `admin`. Raises Refusal 401, 403 or 503."""
        claims, skew = self._verified(_bearer(headers))
        now = self._clock.now().timestamp()
        starts, ends, issued = (_time(claims, name) for name in ("nbf", "exp", "iat"))
        if starts is not None and starts > now + skew:
            raise refusals.not_yet_active()
        if ends is not None and ends <= now - skew:
            raise refusals.token_expired()
        subject = claims.get("sub")
        if not isinstance(subject, str) or subject not in SUBJECTS or (subject != "admin" and subject not in subjects):
            raise refusals.wrong_subject()
        cut_off = self._earliest.get(subject)
        if cut_off is not None and (issued is None or issued < cut_off):
            raise refusals.subject_expired()
        return subject

    def _verified(self, token: str) -> tuple[dict[str, Any], float]:
        """Claims of a token whose signature is right, and the clock skew allowed for its issuer; remembered for 5 s."""
        now = self._clock.monotonic()
        known = self._right.get(token)
        if known is not None and known[0] > now:
            return known[1]
        found = self._verify(token)
        if len(self._right) >= _REMEMBERED:
            self._right.clear()
        self._right[token] = (now + REMEMBERED_S, found)
        return found

    def _verify(self, token: str) -> tuple[dict[str, Any], float]:
        unchecked = {"verify_signature": True} | dict.fromkeys(
            ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti"), False
        )
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") == "HS256":
                if self._secret is None:
                    raise refusals.invalid_auth()
                return jwt.decode(token, self._secret, ["HS256"], options=unchecked), 0.0  # type: ignore[arg-type]
            key = self._keys.find(str(header.get("kid"))) if header.get("alg") in ALGORITHMS else None
            if key is None or key.algorithm_name != header["alg"]:
                raise refusals.invalid_auth()
            return jwt.decode(token, key, [header["alg"]], options=unchecked), SKEW_S  # type: ignore[arg-type]
        except (jwt.PyJWTError, ValueError, TypeError):
            raise refusals.invalid_auth() from None


def _bearer(headers: Headers) -> str:
    """The token of `Authorization`, or of `Authentication`, which the original's documentation names. Raises Refusal."""
    given = {value for name in ("Authorization", "Authentication") if (value := headers.get(name))}
    if len(given) != 1:
        raise refusals.invalid_auth()
    scheme, _, token = given.pop().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST:
        raise refusals.invalid_auth()
    return token


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """A claim that holds epoch seconds. Raises Refusal when it holds anything else."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise refusals.invalid_auth()
    return float(value)
