"""Who is asking, as the auth service says: the client side of its `/verify/*` and of its public keys.

    identities = IdentityClient(settings.auth_url, "sessions", settings.auth_secret, issuer=settings.auth_issuer)
    who = identities.basic(user, password, address)     # user with password or login key; the client's address
    who = identities.token(token, scope="sessions")     # any token of the house; an application's only when the person allowed it this

An answer is kept for at most 5 seconds and never past the credential's end, so that a revocation counts everywhere within those 5 seconds.
A JWT is checked against the public keys first: a forged one never reaches auth. When auth cannot be asked, nobody is let in: Refusal 503.
"""

from __future__ import annotations

import datetime as dt
import hmac
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import jwt
import requests

from services.common import logging as logs
from services.common.clock import Clock, SystemClock
from services.common.http_client import Client
from services.common.refusal import Refusal
from services.common.settings import parse_url, setting

log = logs.get(__name__)

KEPT_S = 5.0
REFUSED_KEPT_S = 1.0
SKEW_S = 30.0
LONGEST = 8192  # characters of a token that is looked at
_LONGEST_BASIC = 1024
_ALGORITHMS = frozenset({"EdDSA", "RS256"})


def url_setting() -> Any:
    """Where auth is."""
    return setting(
        "http://127.0.0.1:8101", env="AUTH_URL", help="The auth service, which knows who is calling.", parse=parse_url("http", "https")
    )


def issuer_setting() -> Any:
    """What auth calls itself in its tokens."""
    return setting("http://127.0.0.1:8080/auth", env="AUTH_ISSUER", help="`iss` of the auth service's tokens.")


def secret_setting() -> Any:
    """The service's own secret at auth; the field's name must be `auth_secret`."""
    return setting(None, secret=True, help="This service's secret at the auth service (see AUTH_SERVICE_CLIENTS).")


class Unauthenticated(Refusal):
    """The credential is worth nothing; the message says why, in auth's words."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(401, message, code)


class Throttled(Refusal):
    """Too many failures for this account or address."""

    def __init__(self, message: str, retry_after: str) -> None:
        super().__init__(429, message, "too-many-failures", headers={"Retry-After": retry_after})


class InsufficientScope(Refusal):
    """An application asks, and the person has not allowed it this (RFC 6750 3.1)."""

    def __init__(self, needed: str) -> None:
        super().__init__(
            403,
            f"the application was not allowed this: it needs the scope {needed}",
            "insufficient-scope",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
        )


class AuthUnavailable(Refusal):
    """Auth cannot be asked, so nobody is let in."""

    def __init__(self) -> None:
        super().__init__(
            503, "the credential cannot be checked: the auth service does not answer", "auth-unavailable", headers={"Retry-After": "1"}
        )


@dataclass(frozen=True, slots=True)
class User:
    """A person."""

    id: str
    email: str
    full_name: str
    domain: str
    level: str
    layer_domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking and with what. kind: `basic`, or that of the token: `account`, `analysis`, `middleware`, `user`, `role`, `client`.

    credential: `password` or `login_key`, of Basic. permission: `full`, `read` or `write`. policy: (resource, actions) pairs.
    expires_at: end of the credential, None for never. client_id: the OAuth2 client that the token was made for; scope: what that was
    allowed, its words separated by blanks.
    """

    kind: str
    id: str
    subject: str
    user: User | None = None
    credential: str | None = None
    permission: str = "full"
    policy: tuple[tuple[str, frozenset[str]], ...] = ()
    label: str = ""
    scope: str = ""
    client_id: str | None = None
    expires_at: dt.datetime | None = None


class KeySet:
    """Auth's public keys by `kid`: fresh for 5 minutes; asked anew once for an unknown `kid`, then not again for 10 s. Thread-safe.

    When they could not be had, auth is asked again half a second later: an unknown `kid` says nothing then.
    """

    FRESH_S = 300.0
    COOL_DOWN_S = 10.0
    PAUSE_S = 0.5
    LONGEST_S = 900.0  # keys this old are no longer believed when auth does not answer

    def __init__(self, url: str, clock: Clock, http: Client) -> None:
        self._url = url.rstrip("/") + "/.well-known/jwks.json"
        self._clock = clock
        self._http = http
        self._lock = threading.Lock()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched = self._next = float("-inf")

    def find(self, kid: str) -> jwt.PyJWK | None:
        """The key, None when there is none of that name. Raises AuthUnavailable when the keys could not be had for too long."""
        now = self._clock.monotonic()
        if kid in self._keys and now - self._fetched <= self.FRESH_S:
            return self._keys[kid]
        with self._lock:
            now = self._clock.monotonic()
            if (kid not in self._keys or now - self._fetched > self.FRESH_S) and now >= self._next:
                self._fetch(now)
            if now - self._fetched > self.LONGEST_S:
                raise AuthUnavailable
            return self._keys.get(kid)

    def _fetch(self, now: float) -> None:
        try:
            answer = self._http.get(self._url)
            answer.raise_for_status()
            listed = answer.json()["keys"]
            keys = {str(one["kid"]): jwt.PyJWK(one) for one in listed if one.get("alg") in _ALGORITHMS}
        except (requests.RequestException, jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("public keys of the auth service not fetched", error=type(error).__name__)
            self._next = self._clock.monotonic() + self.PAUSE_S
            return
        self._keys, self._fetched, self._next = keys, now, now + self.COOL_DOWN_S


class _Answers:
    """What auth said, for a short while; of several who ask the same at once one asks auth, the others wait for its answer."""

    LARGEST = 50_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[bytes, tuple[float, Identity | Refusal]] = {}
        self._asking: dict[bytes, Future[Identity | Refusal]] = {}

    def get(self, key: bytes, ask: Callable[[], tuple[Identity | Refusal, float]]) -> Identity | Refusal:
        """ask: gives the answer and for how many seconds it may be kept; it must not raise."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and self._clock.monotonic() < kept[0]:
                return kept[1]
            running = self._asking.get(key)
            if running is None:
                mine = self._asking[key] = Future[Identity | Refusal]()
        if running is not None:
            return running.result()
        started = self._clock.monotonic()  # before auth looked: what it said may be old when it arrives
        found: Identity | Refusal = AuthUnavailable()
        try:
            found, seconds = ask()
            with self._lock:
                if seconds > 0:
                    self._make_room(started)
                    self._kept[key] = (started + seconds, found)
                else:
                    self._kept.pop(key, None)
        finally:
            with self._lock:
                self._asking.pop(key, None)
            mine.set_result(found)
        return found

    def _make_room(self, now: float) -> None:
        if len(self._kept) >= self.LARGEST:
            self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
        if len(self._kept) >= self.LARGEST:
            self._kept.clear()

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


class IdentityClient:
    """Asks auth. One a process; thread-safe. Refusals are ready to be raised out of a view."""

    PAUSE_S = 0.5  # after a failure auth is left alone for so long, and whoever asks hears 503 at once

    def __init__(
        self,
        url: str,
        client_id: str,
        secret: str | None,
        *,
        issuer: str,
        audience: str = "gatehouse",
        clock: Clock | None = None,
        http: Client | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._credentials = (client_id, secret or "")
        self._issuer = issuer
        self._audience = audience
        self._clock = clock or SystemClock()
        self._http = http or Client(read=3.0, pool=64)
        self._keys = KeySet(url, self._clock, self._http)
        self._answers = _Answers(self._clock)
        self._blind = os.urandom(32)  # so that no password could be found again from the keys of the kept answers
        self._failed_at = float("-inf")

    def basic(self, username: str, password: str, address: str | None = None) -> Identity:
        """The user behind a name with password or login key. address: the client's, for which failures are counted.

        Without it the failures of all clients of this service count as those of one, so that strangers slow down everybody who gives a
        password here. Raises Unauthenticated, Throttled, AuthUnavailable.
        """
        if len(username) + len(password) > _LONGEST_BASIC:
            raise Unauthenticated("invalid credentials", "invalid-credentials")
        body = {"username": username, "password": password, **({"address": address} if address else {})}
        key = self._key("basic", username, password)
        return self._out(self._answers.get(key, lambda: self._ask("/verify/basic", body, _basic)))

    def token(self, token: str, *, scope: str | None = None) -> Identity:
        """What any token of the house is worth.

        scope: what a token that was made for an OAuth2 client must have been allowed; left out, the service's own name. People's own
        sign-ins and tokens, and role tokens, are not asked for it. Raises Unauthenticated, InsufficientScope, AuthUnavailable.
        """
        if len(token) > LONGEST:
            raise Unauthenticated("invalid token", "invalid-token")
        if token.count(".") == 2:
            self.claims(token)
        elif not token.startswith("gh_"):
            raise Unauthenticated("invalid token", "invalid-token")
        found = self._out(self._answers.get(self._key("token", token), lambda: self._ask("/verify/token", {"token": token}, _token)))
        needed = scope or self._credentials[0]
        if found.client_id is not None and needed not in found.scope.split():
            raise InsufficientScope(needed)
        return found

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a JWT whose signature, issuer, audience and times are right. Raises as `token`.

        Says nothing about revocation, and nothing about what an application was allowed: for a person's token ask `token`.
        """
        invalid = Unauthenticated("invalid token", "invalid-token")
        try:
            header = jwt.get_unverified_header(token)
            kid = header.get("kid")
            key = self._keys.find(kid) if isinstance(kid, str) and header.get("alg") in _ALGORITHMS else None
            # the key says which algorithm is right: neither `none` nor HMAC with a public key has a way in
            if key is None or key.algorithm_name != header["alg"]:
                raise invalid
            options: Any = {"require": ["iss", "aud", "iat", "exp", "jti", "sub"]} | dict.fromkeys(
                ("verify_exp", "verify_nbf", "verify_iat"), False
            )
            claims: dict[str, Any] = jwt.decode(
                token, key, [key.algorithm_name], audience=self._audience, issuer=self._issuer, options=options
            )
            starts = max(float(claims.get("nbf", 0)), float(claims["iat"]))
            ends = float(claims["exp"])
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise invalid from None
        now = self._clock.now().timestamp()
        if ends <= now - SKEW_S:
            raise Unauthenticated("token expired", "token-expired")
        if starts > now + SKEW_S:
            raise Unauthenticated("token not yet active", "token-not-yet-active")
        return claims

    def forget(self) -> None:
        """Drop every kept answer."""
        self._answers.clear()

    def _key(self, *parts: str) -> bytes:
        joined = "".join(f"{len(part)}:{part}" for part in parts)  # with their lengths: no two credentials give the same text
        return hmac.digest(self._blind, joined.encode("utf-8", "surrogatepass"), "sha256")

    @staticmethod
    def _out(found: Identity | Refusal) -> Identity:
        if isinstance(found, Refusal):
            # a new one each time: an exception that is raised in several threads mixes their traces
            again = Refusal.__new__(type(found))
            again.__dict__.update(found.__dict__)
            again.args = found.args
            raise again
        return found

    def _ask(self, path: str, body: Mapping[str, Any], read: Callable[[Any], Identity]) -> tuple[Identity | Refusal, float]:
        """(auth's answer, seconds that it may be kept)."""
        if time.monotonic() - self._failed_at < self.PAUSE_S:
            return AuthUnavailable(), 0.0
        try:
            answer = self._post(path, body)
            if answer.status_code == 200:
                found = read(answer.json())
                left = (found.expires_at - self._clock.now()).total_seconds() if found.expires_at else KEPT_S
                return found, min(KEPT_S, left)
            said = answer.json()
            message, code = str(said["error"]), str(said["code"])
        except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError) as error:
            self._failed_at = time.monotonic()
            log.error("the auth service cannot be asked", error=type(error).__name__)
            return AuthUnavailable(), 0.0
        if answer.status_code == 401 and code != "service-credentials-needed":
            return Unauthenticated(message, code), REFUSED_KEPT_S
        if answer.status_code == 429:
            return Throttled(message, answer.headers.get("Retry-After", "1")), 0.0
        if answer.status_code in (400, 413, 422):  # a credential that cannot be one, such as half a character
            return Unauthenticated("invalid credentials", "invalid-credentials"), REFUSED_KEPT_S
        log.error("the auth service refuses to be asked", status=answer.status_code, code=code)
        return AuthUnavailable(), 0.0

    def _post(self, path: str, body: Mapping[str, Any]) -> requests.Response:
        """Once more when a kept connection had been closed meanwhile; asking twice harms nothing."""
        try:
            return self._http.post(self._url + path, json=body, auth=self._credentials)
        except requests.Timeout:
            raise
        except requests.ConnectionError:
            return self._http.post(self._url + path, json=body, auth=self._credentials)


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _user(said: Mapping[str, Any]) -> User:
    return User(
        id=str(said["id"]),
        email=str(said["email"]),
        full_name=str(said["full_name"]),
        domain=str(said["domain"]),
        level=str(said["level"]),
        layer_domains=tuple(map(str, said["layer_domains"])),
    )


def _basic(said: Mapping[str, Any]) -> Identity:
    user = _user(said)
    return Identity("basic", user.id, user.id, user, credential=str(said["credential"]), expires_at=_moment(said["expires_at"]))


def _token(said: Mapping[str, Any]) -> Identity:
    return Identity(
        kind=str(said["kind"]),
        id=str(said["id"]),
        subject=str(said["subject"]),
        user=_user(said["user"]) if said["user"] else None,
        permission=str(said["permission"]),
        policy=tuple((str(one["resource"]), frozenset(map(str, one["actions"]))) for one in said["policy"]),
        label=said["label"] or "",
        scope=said["scope"] or "",
        client_id=said["client_id"],
        expires_at=_moment(said["expires_at"]),
    )
