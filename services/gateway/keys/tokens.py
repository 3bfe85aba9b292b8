"""JSON Web Tokens: the keys that their signatures are checked with, their headers, and the check itself (RFC 7515, RFC 7519, RFC 8725).

A signature is checked in one thread of low priority, with few who wait. What can be told without it, such as a form that is not that of a
token, or an algorithm that is not the key's, is told before.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import json
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

from services.common.addresses import group_of
from services.common.remembered import Remembered
from services.gateway.refusals import TOKENS_BUSY, Refusal
from services.gateway.threads import Threads, give_way

# Characters. A head may have 64 KB, and hashing what a stranger sends must stay cheap.
LONGEST: Final = 16_384
MOST_KNOWN: Final = 20_000  # about 1 KB each
# Checking one takes 0.05 to 0.3 ms, so the last of them waits about a tenth of a second.
MOST_WAITING: Final = 512
MOST_OF_ONE: Final = 128
LEAST_RSA_BITS: Final = 2048  # RFC 7518, 3.3
Known = TypeVar("Known")
_RETRY: Final = ((b"Retry-After", b"1"),)
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_OF_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
# Tyk's names of the kinds of keys, and one of our own for Ed25519.
ALGORITHMS: Final[Mapping[str, frozenset[str]]] = {
    "hmac": frozenset({"HS256", "HS384", "HS512"}),
    "rsa": frozenset(_RSA),
    "ecdsa": frozenset(_OF_CURVES.values()),
    "eddsa": frozenset({"EdDSA"}),
}
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+").fullmatch


class VerifyingKey:
    """One key that signatures are checked with.

    kid: "" = it has no name. algorithms: that it can be used with. material: bytes, or a public key of the library. text: tells it from
    another key. gone: whether it was in a set and is in it no longer.
    """

    __slots__ = ("algorithms", "gone", "kid", "material", "text")

    def __init__(self, kid: str, algorithms: frozenset[str], material: Any, text: str) -> None:
        self.kid = kid
        self.algorithms = algorithms
        self.material = material
        self.text = text
        self.gone = False


def fixed_key(kind: str, source: bytes) -> VerifyingKey:
    """Return the key of a definition. kind: of `ALGORITHMS`. source: a secret, or a public key or a certificate as PEM.

    Raises ValueError, which does not repeat the source.
    """
    if kind == "hmac":
        if b"-----BEGIN" in source:
            raise ValueError("is a key as PEM, and hmac needs a secret: with a public key for a secret anybody could sign")
        return VerifyingKey("", ALGORITHMS[kind], source, "")
    public = _public_key(source)
    algorithms = algorithms_of(public) & ALGORITHMS[kind]
    if not algorithms:
        raise ValueError(f"is not a key for {kind}")
    return VerifyingKey("", algorithms, public, "")


def _public_key(source: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    if b"PRIVATE KEY-----" in source:
        raise ValueError("is a private key; give the public key that belongs to it, and make a new pair, since this one was shown")
    try:
        if b"-----BEGIN CERTIFICATE-----" in source:
            return load_pem_x509_certificate(source).public_key()
        return load_pem_public_key(source)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is neither a public key nor a certificate as PEM, nor an http(s) URL") from None


def algorithms_of(public: Any) -> frozenset[str]:
    """Return the algorithms that a public key of the library serves. Raises ValueError for one that is too weak."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if isinstance(public, RSAPublicKey):
        if public.key_size < LEAST_RSA_BITS:
            raise ValueError(f"is an RSA key of fewer than {LEAST_RSA_BITS} bits")
        return ALGORITHMS["rsa"]
    if isinstance(public, EllipticCurvePublicKey):
        return frozenset({_OF_CURVES[public.curve.name]} if public.curve.name in _OF_CURVES else ())
    return ALGORITHMS["eddsa"] if isinstance(public, Ed25519PublicKey) else frozenset()


class Header(NamedTuple):
    """What the header of a token says. kid: "" = nothing."""

    algorithm: str
    kid: str


_headers: Remembered[str, Header | None] = Remembered(256)


def read_header(token: str) -> Header | None:
    """Read the header of what may be a token; None when it is none, or asks for what is not understood (`crit`)."""
    if len(token) > LONGEST or _SHAPE(token) is None:
        return None
    segment = token.partition(".")[0]
    if segment in _headers:  # all tokens of one key share it
        return _headers[segment]
    return _headers.keep(segment, _header(segment), len(segment))


def _header(segment: str) -> Header | None:
    try:
        members = json.loads(base64.b64decode(segment + "=" * (-len(segment) % 4), b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(members, dict) or "crit" in members or "b64" in members:
        return None
    algorithm, kid = members.get("alg"), members.get("kid")
    return Header(algorithm, kid if isinstance(kid, str) else "") if isinstance(algorithm, str) else None


def read_issuer(token: str) -> str:
    """Return what a token says of its issuer, which is not proved; "" = nothing. token: of which `read_header` has read the header."""
    segment = token.split(".")[1]
    try:
        claims = json.loads(base64.b64decode(segment + "=" * (-len(segment) % 4), b"-_", validate=True))
    except (ValueError, RecursionError):
        return ""
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""


class TokenVerifier(Generic[Known]):
    """Belongs to the event loop of one worker. most: how many may wait; of_one: how many of them from one client.

    known: what is remembered of tokens that were right, of all APIs, by digests that each API makes in its own way.
    """

    def __init__(self, most: int = MOST_WAITING, of_one: int = MOST_OF_ONE, capacity: int = MOST_KNOWN) -> None:
        self.known: dict[bytes, Known] = {}
        self._capacity = capacity
        self._most = most
        self._of_one = of_one
        self._waiting: Counter[str] = Counter()
        self._threads = Threads(1, "tokens")

    def remember(self, digest: bytes, known: Known) -> None:
        """Remember a token. When there is no room, the oldest tenth goes: what is in use comes back with one check."""
        if len(self.known) >= self._capacity:
            for oldest in list(self.known)[: max(1, self._capacity // 10)]:
                del self.known[oldest]
        self.known[digest] = known

    async def claims(self, token: str, algorithm: str, key: VerifyingKey, client: str) -> Mapping[str, Any] | None:
        """Return what a token says whose signature is right, else None. Its times are not checked.

        algorithm: one of the key's. client: the address that sends it. Raises Refusal(TOKENS_BUSY).
        """
        waiting, who = self._waiting, ("", f"c:{group_of(client)}")
        if waiting[""] >= self._most or waiting[who[1]] >= self._of_one:
            raise Refusal(TOKENS_BUSY, headers=_RETRY)
        waiting.update(who)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, _claims, token, algorithm, key)
        finally:
            waiting.subtract(who)
            for one in who:
                if not waiting[one]:
                    del waiting[one]


def _claims(token: str, algorithm: str, key: VerifyingKey) -> Mapping[str, Any] | None:
    import jwt  # its library costs each worker memory

    give_way()
    try:
        claims = json.loads(_library().decode(token, key.material, algorithms=[algorithm]))
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


@functools.cache
def _library() -> Any:
    import jwt

    # A short secret is told where it is saved, not once more on the terminal.
    warnings.simplefilter("ignore", jwt.warnings.InsecureKeyLengthWarning)
    return jwt.PyJWS()
