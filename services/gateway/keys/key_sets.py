"""Sets of keys by URL (JWKS, RFC 7517), as the issuers of tokens publish them. All APIs that name a URL share its set.

A set is fetched when its first token comes, in a thread of its own, so that no URL holds up the tokens of another one. After a while it is
fetched again behind the requests; what was known stays in use meanwhile, and while that fails, for at most a day. A key that left the set
is not used any more, also when no key is left. A token of a key that is not known waits for another fetch, which happens every ten seconds
at most.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from services.common import logging as logs
from services.gateway.keys.discovery import discovered
from services.gateway.keys.tokens import VerifyingKey, algorithms_of
from services.gateway.refusals import KEY_SET_UNAVAILABLE, Refusal
from services.gateway.threads import in_thread

log = logs.get(__name__)

# Seconds.
FRESH_S: Final = 240.0
COOL_DOWN_S: Final = 10.0
PAUSE_S: Final = 1.0  # after a failure, when there are no keys at all
LONGEST_S: Final = 86_400.0
DEADLINE_S: Final = 5.0
LARGEST: Final = 1024 * 1024
_MOST_KEYS: Final = 1000
_RETRY: Final = ((b"Retry-After", b"2"),)
# Of a public key; whatever else a JWK holds is not needed, private parts least of all.
_PUBLIC: Final = ("kty", "crv", "x", "y", "n", "e")

# Fetches what a URL answers. Raises OSError, ValueError.
Fetch = Callable[[str], bytes]


class KeySet:
    """The keys of one URL. Belongs to the event loop. due: when `refresh` is to be called, in the time of `now`; never without keys."""

    def __init__(self, url: str, fetch: Fetch, now: Callable[[], float]) -> None:
        self._url = url
        self._get = fetch
        self._now = now
        self._keys: list[VerifyingKey] = []
        self._fetched = float("-inf")
        self._next = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._failing = False
        self.due = float("inf")

    def known(self, kid: str, algorithm: str) -> VerifyingKey | None:
        """Return the key that a token names. One that names none has the only key that there is for its algorithm."""
        if self._now() >= self.due:
            self.refresh()
        found = [key for key in self._keys if algorithm in key.algorithms and (not kid or key.kid == kid)]
        return found[0] if found and (kid or len(found) == 1) else None

    async def ask(self) -> None:
        """Fetch the set, unless that was tried a moment ago. Raises Refusal(KEY_SET_UNAVAILABLE) when there are no keys afterwards."""
        self.refresh()
        if self._fetching is not None:
            await asyncio.shield(self._fetching)  # one client that goes away must not take the answer from the others
        if not self._keys:
            raise Refusal(KEY_SET_UNAVAILABLE, headers=_RETRY)

    def refresh(self) -> None:
        """Begin to fetch the set, unless that was tried a moment ago. Forgets keys that are too old."""
        now = self._now()
        if self._keys and now - self._fetched > LONGEST_S:
            self._replace([])
        if self._fetching is None and now >= self._next:
            self.due = float("inf")
            self._fetching = asyncio.create_task(self._fetch())
        elif self._fetching is None:
            self.due = self._next if self._keys else float("inf")

    async def _fetch(self) -> None:
        """Fetch the set; does not raise."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                found = await in_thread(self._load)
        except Exception as error:  # whatever an issuer answers: what is known stays in use
            self._failed(f"{type(error).__name__}: {error}" if isinstance(error, ValueError) else type(error).__name__)
        else:
            self._replace(found)
            if not found:
                self._failed("the set has no key that signatures could be checked with")
                return
            if self._failing:
                log.info("key set fetched again", url=_shown(self._url))
            self._failing = False
            self._fetched = now = self._now()
            self._next, self.due = now + COOL_DOWN_S, now + FRESH_S
        finally:
            self._fetching = None

    def _failed(self, reason: str) -> None:
        if not self._failing:  # once: it is tried again and again
            log.warning("key set not fetched", url=_shown(self._url), error=reason, keys=len(self._keys))
        self._failing = True
        self._next = self._now() + (COOL_DOWN_S if self._keys else PAUSE_S)
        self.due = self._next if self._keys else float("inf")

    def _load(self) -> list[VerifyingKey]:
        return read_key_set(self._get(self._url))

    def _replace(self, found: Iterable[VerifyingKey]) -> None:
        """Take over what stays as the same object, so that what was checked with it stays known."""
        before = {key.text: key for key in self._keys}
        self._keys = [before.pop(key.text, key) for key in found]
        for key in before.values():
            key.gone = True


class KeySets:
    """All sets of one worker, by URL; a set that no API names is forgotten. Thread-safe."""

    def __init__(self, fetch: Fetch, now: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now = now
        self._lock = threading.Lock()
        self._sets: weakref.WeakValueDictionary[str, KeySet] = weakref.WeakValueDictionary()

    def of(self, url: str) -> KeySet:
        """Return the set of a URL. Nothing is fetched yet."""
        return self._shared(url, url, self._fetch)

    def of_issuer(self, issuer: str) -> KeySet:
        """Return the set of an OpenID provider, which its configuration names. Each fetch reads the configuration again."""
        return self._shared(f"issuer {issuer}", issuer, discovered(self._fetch))

    def _shared(self, name: str, url: str, fetch: Fetch) -> KeySet:
        with self._lock:
            found = self._sets.get(name)
            if found is None:
                found = self._sets[name] = KeySet(url, fetch, self._now)
            return found


def read_key_set(body: bytes) -> list[VerifyingKey]:
    """Read the public keys that signatures can be checked with; others are left out. Raises ValueError for what is not a set."""
    try:
        document = json.loads(body)
        listed = document["keys"]
        if not isinstance(listed, list):
            raise TypeError
        return [key for one in listed[:_MOST_KEYS] if (key := _verifying(one)) is not None]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("the answer is not a set of keys (JWKS)") from None


def _verifying(jwk: Any) -> VerifyingKey | None:
    import jwt  # its library costs each worker memory

    if not isinstance(jwk, dict) or jwk.get("use") not in (None, "sig"):
        return None
    uses = jwk.get("key_ops")
    if uses and not (isinstance(uses, list) and "verify" in uses):
        return None
    public = {name: jwk[name] for name in _PUBLIC if name in jwk}
    kid, algorithm = jwk.get("kid") or "", jwk.get("alg")
    try:
        material = jwt.PyJWK(public).key
        algorithms: Set[str] = algorithms_of(material)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    chosen = frozenset(algorithms if algorithm is None else algorithms & {str(algorithm)})
    if not chosen or not isinstance(kid, str):
        return None
    return VerifyingKey(kid, chosen, material, json.dumps([kid, sorted(chosen), public], sort_keys=True))


def fetch_key_set(tls: Callable[[], ssl.SSLContext]) -> Fetch:
    """Return what fetches a URL; blocks for as long as the deadline at most, and looking up the name. tls: for https, as for upstreams.

    Redirects are not followed: the definition names the place that is trusted. Raises OSError, ValueError, HTTPException.
    """

    def fetch(url: str) -> bytes:
        parts = urlsplit(url)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=DEADLINE_S, context=tls())
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=DEADLINE_S)
        ends: threading.Timer | None = None
        try:
            connection.connect()
            ends = threading.Timer(DEADLINE_S, _hang_up, [connection.sock])
            ends.daemon = True
            ends.start()
            target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
            connection.request("GET", target, headers={"Accept": "application/json", "User-Agent": "Gatehouse", "Connection": "close"})
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise ValueError(f"the answer is {answer.status}")
            body = answer.read(LARGEST + 1)
            if len(body) > LARGEST:
                raise ValueError(f"the answer is larger than {LARGEST // 1024} KB")
            return body
        finally:
            if ends is not None:
                ends.cancel()
            connection.close()

    return fetch


def _hang_up(connection: socket.socket) -> None:
    """End what still reads from a connection: a time limit of single reads would not bound all of them."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _shown(url: str) -> str:
    """Return a URL as logs show it, without what may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
