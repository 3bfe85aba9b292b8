"""Who is asking, as the auth service says: the client side of its `/verify/*` and of its public keys.

    identities = IdentityClient(settings.auth_url, "sessions", settings.auth_secret, issuer=settings.auth_issuer)
    who = identities.basic(user, password, address)     # user with password or login key; the client's address
    who = identities.token(token, scope="sessions")     # any token of the house; an application's only when the person allowed it this
    user = identities.user(user_id, password_stamp)     # behind a credential of the service's own: while auth lets the user in

An answer is kept for at most 5 seconds and never past the credential's end, so that a revocation counts everywhere within those 5 seconds.
A refused token is kept for one second. A refused password is not kept at all: auth counts each failure, and itself answers those who go on
without a check of the password.
A JWT is checked against the public keys first: a forged one never reaches auth. When auth cannot be asked, nobody is let in: Refusal 503.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from services.common import logging as logs
from services.common.clock import Clock, SystemClock
from services.common.http_client import Client
from services.common.identity import house_jwt
from services.common.identity.answers import Answers
from services.common.identity.identity import Identity, User, read_basic, read_token, read_user
from services.common.identity.key_set import KeySet
from services.common.identity.refusals import AuthUnavailable, InsufficientScope, Throttled, Unauthenticated
from services.common.refusal import Refusal

log = logs.get(__name__)

KEPT_S = 5.0
REFUSED_KEPT_S = 1.0
_LONGEST_BASIC = 1024


class IdentityClient:
    """Asks auth. One a process; thread-safe. Refusals are ready to be raised out of a view."""

    PAUSE_S = 0.5  # after a failure auth is not asked for so long, and every caller gets 503 at once

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
        self._answers = Answers(self._clock)
        self._blind = os.urandom(32)  # so that the keys of the kept answers give no password away
        self._failed_at = float("-inf")

    def basic(self, username: str, password: str, address: str | None = None) -> Identity:
        """Find the user of a name with password or login key. address: the client's; failures are counted for it.

        Without it the failures of all clients of this service count as one client's, so that strangers slow down everybody who sends a
        password here. Raises Unauthenticated, Throttled, AuthUnavailable.
        """
        if len(username) + len(password) > _LONGEST_BASIC:
            raise Unauthenticated("invalid credentials", "invalid-credentials")
        body = {"username": username, "password": password, **({"address": address} if address else {})}
        key = self._key("basic", username, password)
        return self._out(self._answers.get(key, lambda: self._ask("/verify/basic", body, read_basic), share_refusals=False))

    def user(self, user_id: str, password_stamp: str | None = None) -> User:
        """Find an active user by the id. Raises Unauthenticated for any other, AuthUnavailable.

        password_stamp: of the user when the credential was made that stands for it; a user with another password is refused. What is kept
        is kept for this stamp: who signs in anew is not judged by what was true before.
        """
        key = self._key("user", user_id, password_stamp or "")
        found = self._out(self._answers.get(key, lambda: self._ask("/verify/user", {"id": user_id}, read_user))).user
        assert found is not None
        if password_stamp is not None and found.password_stamp != password_stamp:
            raise Unauthenticated("password changed", "password-changed")
        return found

    def token(self, token: str, *, scope: str | None = None) -> Identity:
        """Find who a token of the house belongs to, whatever its kind.

        scope: the scope that a token of an OAuth2 client must have; by default the service's own name. Sign-ins, people's own tokens and
        role tokens need no scope. Raises Unauthenticated, InsufficientScope, AuthUnavailable.
        """
        if len(token) > house_jwt.LONGEST:
            raise Unauthenticated("invalid token", "invalid-token")
        if token.count(".") == 2:
            self.claims(token)
        elif not token.startswith("gh_"):
            raise Unauthenticated("invalid token", "invalid-token")
        found = self._out(self._answers.get(self._key("token", token), lambda: self._ask("/verify/token", {"token": token}, read_token)))
        needed = scope or self._credentials[0]
        if found.client_id is not None and needed not in found.scope.split():
            raise InsufficientScope(needed)
        return found

    def claims(self, token: str) -> dict[str, Any]:
        """Read the claims of a JWT whose signature, issuer, audience and times are valid. Raises as `token`.

        It does not check revocation, nor the scope of an application: for a person's token ask `token`.
        """
        try:
            return house_jwt.read(token, self._keys.find, issuer=self._issuer, audience=self._audience, now=self._clock.now()).claims
        except house_jwt.Invalid as error:
            raise Unauthenticated(error.message, error.code) from None

    def _key(self, *parts: str) -> bytes:
        joined = "".join(f"{len(part)}:{part}" for part in parts)  # with their lengths: no two credentials give the same text
        return hmac.digest(self._blind, joined.encode("utf-8", "surrogatepass"), "sha256")

    @staticmethod
    def _out(found: Identity | Refusal) -> Identity:
        if isinstance(found, Refusal):
            # a copy each time: an exception that several threads raise mixes their traces
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
            log.error("auth service unavailable", error=type(error).__name__)
            return AuthUnavailable(), 0.0
        if answer.status_code == 401 and code != "service-credentials-needed":
            return Unauthenticated(message, code), REFUSED_KEPT_S
        if answer.status_code == 429:
            return Throttled(message, answer.headers.get("Retry-After", "1")), 0.0
        if answer.status_code in (400, 413, 422):  # a text that cannot be a credential, such as half a character
            return Unauthenticated("invalid credentials", "invalid-credentials"), REFUSED_KEPT_S
        log.error("auth service refused the question", status=answer.status_code, code=code)
        return AuthUnavailable(), 0.0

    def _post(self, path: str, body: Mapping[str, Any]) -> requests.Response:
        """Send the question, again when a kept connection was closed meanwhile; asking twice does no harm."""
        try:
            return self._http.post(self._url + path, json=body, auth=self._credentials)
        except requests.Timeout:
            raise
        except requests.ConnectionError:
            return self._http.post(self._url + path, json=body, auth=self._credentials)
