"""Auth's public keys, as a neighbour fetches and keeps them."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import jwt
import requests

from services.common import logging as logs
from services.common.clock import Clock
from services.common.http_client import Client
from services.common.identity.house_jwt import ALGORITHMS
from services.common.identity.refusals import AuthUnavailable

log = logs.get(__name__)


class KeySet:
    """Auth's public keys by `kid`: fresh for 5 minutes; fetched again once for an unknown `kid`, then not again for 10 s. Thread-safe.

    After a fetch that failed auth is asked again half a second later; until then an unknown `kid` means nothing.
    """

    FRESH_S = 300.0
    COOL_DOWN_S = 10.0
    PAUSE_S = 0.5
    LONGEST_S = 900.0  # older keys are not trusted while auth does not answer

    def __init__(self, url: str, clock: Clock, http: Client) -> None:
        self._url = url.rstrip("/") + "/.well-known/jwks.json"
        self._clock = clock
        self._http = http
        self._lock = threading.Lock()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched = self._next = float("-inf")

    def find(self, kid: str) -> jwt.PyJWK | None:
        """Find a key; None when there is none of that name. Raises AuthUnavailable when no keys could be fetched for too long."""
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
            keys = {str(one["kid"]): jwt.PyJWK(one) for one in listed if one.get("alg") in ALGORITHMS}
        except (requests.RequestException, jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("public keys not fetched", error=type(error).__name__)
            self._next = self._clock.monotonic() + self.PAUSE_S
            return
        self._keys, self._fetched, self._next = keys, now, now + self.COOL_DOWN_S
