"""Asks for a user name and a password (RFC 7617), and finds out whose they are.

The user is a key named by the organisation and the user name. The password begins behind the first colon and may hold others; both are
UTF-8, or Latin-1 where they are not valid UTF-8. The scheme may be written in any case. A password that was right once is remembered, as a
digest, until it changes or nobody has sent it for a while: checking a password takes 20 ms.

Fields:
* `basic_auth.disable_caching` (2.4): Checks the password of every request. Differs: Nothing needs it, since a change of a user counts at
  once.
* `basic_auth.cache_ttl` (2.4): Seconds for which a right password is remembered after its last use; 0 = 60. Differs: In Tyk, after its
  first use.
* `basic_auth.extract_from_body` (2.8): A mistake: the gateway does not look for passwords in bodies.
* `basic_auth.body_user_regexp` (2.8): Has no effect.
* `basic_auth.body_password_regexp` (2.8): Has no effect.
Refusals: key-missing, basic-malformed, basic-not-encoded, basic-without-colon, user-unknown (the only one that fires AuthFailure).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from services.common.remembered import Remembered
from services.gateway.credentials import LONGEST, Credential, challenge
from services.gateway.definitions.model import DEFAULT_ORG, Way
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, user_hash
from services.gateway.ports import Ports
from services.gateway.refusals import (
    BASIC_MALFORMED,
    BASIC_NOT_ENCODED,
    BASIC_WITHOUT_COLON,
    KEY_MISSING,
    USER_UNKNOWN,
    Refusal,
)

_USUAL_TTL: Final = 60
# Credentials that are remembered, and characters of a user name: strangers choose both.
_KNOWN: Final = (1024, 256)
_IN_BODIES: Final = "not available yet: user names and passwords in bodies; send them in a header"


@dataclass(frozen=True, slots=True)
class Spec:
    """remembered_for: seconds, 0 = never."""

    realm: str
    org_id: str
    way: Way
    remembered_for: int


def fields(reader: DefinitionReader) -> Spec | None:
    """Read how long passwords are remembered; None when the API asks for no user."""
    options = reader.object("basic_auth")
    seconds = options.integer("cache_ttl") or _USUAL_TTL
    never = options.flag("disable_caching")
    in_bodies = options.flag("extract_from_body")
    options.text("body_user_regexp"), options.text("body_password_regexp")
    way = reader.definition.ways.get("basic_auth_user")
    if way is None:
        return None
    if in_bodies:
        options.mistake("extract_from_body", _IN_BODIES)
    return Spec(reader.definition.name, reader.definition.org_id or DEFAULT_ORG, way, 0 if never else seconds)


def build(spec: Spec, ports: Ports) -> BasicAuth:
    """Build the check from the keys and the passwords."""
    return BasicAuth(spec, ports)


class Sent(NamedTuple):
    """hash: by which the user is found. digest: of the password, which tells it from another one and opens nothing."""

    user: str
    hash: str
    digest: bytes


class BasicAuth:
    """Sets the exchange's key and `exchange.presented_key`, which is the user name."""

    __slots__ = (
        "_challenge",
        "_credential",
        "_digest_key",
        "_find_hash",
        "_is_base",
        "_known",
        "_missing",
        "_org_id",
        "_passwords",
        "_ttl",
    )

    def __init__(self, spec: Spec, ports: Ports) -> None:
        self._find_hash = ports.keys.find_hash
        self._passwords = ports.passwords
        self._org_id = spec.org_id
        self._credential = Credential(spec.way.places)
        self._is_base = spec.way.is_base
        self._ttl = spec.remembered_for
        self._missing = f"Send a user name and a password in {self._credential.places}, in the form of HTTP's Basic scheme."
        self._challenge = [challenge(b"Basic", spec.realm)]
        self._digest_key = secrets.token_bytes(32)
        self._known: Remembered[bytes, Sent] = Remembered(*_KNOWN)

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        sent = exchange.section.memo.get(self)
        if sent is None or self._credential.in_query:
            sent = self._read(exchange)
        exchange.presented_key = sent.user
        key = self._find_hash(sent.hash)
        if isinstance(key, Key) and self._passwords.knows(sent.hash, key.password, sent.digest, self._ttl):
            self._passed(exchange, key)
            return None
        return self._check(exchange, sent, key)

    def _read(self, exchange: Exchange) -> Sent:
        """Return what the client sends. Raises Refusal when it sends nothing, or not in the form of the scheme."""
        text = self._credential.sent(exchange)
        if not text:
            raise Refusal(KEY_MISSING, headers=self._challenge, detail=self._missing)
        if len(text) > LONGEST:
            raise Refusal(USER_UNKNOWN, headers=self._challenge)
        digest = blake2b(text.encode("utf-8", "surrogatepass"), key=self._digest_key, digest_size=32).digest()
        sent = self._known.get(digest)
        if sent is None:
            user, password = _pair(text)
            sent = Sent(user, user_hash(self._org_id + user), self._passwords.digest(password))
            self._known.keep(digest, sent, len(user))
        exchange.section.remember(self, sent)
        return sent

    async def _check(self, exchange: Exchange, sent: Sent, finding: Key | Awaitable[Key | None] | None) -> None:
        """Check a password that is not remembered, or of a user who is not in memory."""
        in_memory = isinstance(finding, Key) or finding is None
        key = await _found(finding)
        kept = "" if key is None else key.password
        if not self._passwords.knows(sent.hash, kept, sent.digest, self._ttl):
            password = _pair(self._credential.sent(exchange))[1]
            fits = await self._passwords.fits(kept, password, sent.hash, exchange.client, self._look if in_memory else None)
            # The user may have changed, or gone, since then.
            key = await _found(self._find_hash(sent.hash)) if fits else None
            if key is None or key.password != kept:
                raise Refusal(USER_UNKNOWN, headers=self._challenge)
        assert key is not None  # no password fits nobody
        self._passed(exchange, key)

    async def _look(self) -> None:
        """Take as long as a look for a user who is not in memory: time must not tell who is."""
        with contextlib.suppress(Refusal):
            await _found(self._find_hash(secrets.token_hex(32)))

    def _passed(self, exchange: Exchange, key: Key) -> None:
        exchange.add_key(key, self._is_base)
        self._credential.strip(exchange)


async def _found(finding: Key | Awaitable[Key | None] | None) -> Key | None:
    return finding if isinstance(finding, Key) or finding is None else await finding


def _pair(text: str) -> tuple[str, str]:
    """Return the user name and the password of a credential. Raises Refusal."""
    words = text.split(" ")
    if len(words) != 2:
        raise Refusal(BASIC_MALFORMED)
    try:
        decoded = base64.b64decode(words[1].encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise Refusal(BASIC_NOT_ENCODED) from None
    try:
        pair = decoded.decode("utf-8")
    except UnicodeDecodeError:
        pair = decoded.decode("latin-1")
    user, colon, password = pair.partition(":")
    if not colon:
        raise Refusal(BASIC_WITHOUT_COLON)
    return user, password
