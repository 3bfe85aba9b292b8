"""The check of the house's JWTs (RFC 7519, RFC 8725): the same in auth, which signs them, and in the services that it signs them for."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jwt

ALGORITHMS = ("EdDSA", "RS256")
SKEW_S = 30.0  # by which clocks may differ
NEVER = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)  # `exp` of a token without end: the claim is always there
LONGEST = 8192  # characters of a JWT that is looked at
_REQUIRED = ("iss", "aud", "iat", "exp", "jti", "sub")


class Invalid(Exception):
    """The token is not valid. message, code: the reason, in auth's words."""

    message = "invalid token"
    code = "invalid-token"


class Expired(Invalid):
    message = "token expired"
    code = "token-expired"


class NotYetActive(Invalid):
    message = "token not yet active"
    code = "token-not-yet-active"


class Read(NamedTuple):
    """A JWT that was read. kind: its `typ`. kid: the key that signed it."""

    claims: dict[str, Any]
    kind: str
    kid: str


def read(token: str, find: Callable[[str], jwt.PyJWK | None], *, issuer: str, audience: str, now: dt.datetime) -> Read:
    """Read a JWT whose signature, issuer, audience and times are valid. Raises Invalid.

    find: returns the public key of a `kid`, None for an unknown one; what it raises is raised. Revocation is not checked here.
    """
    if len(token) > LONGEST:
        raise Invalid
    try:
        header = _header(token.partition(".")[0])
        kid = header.get("kid")
        key = find(kid) if isinstance(kid, str) and header.get("alg") in ALGORITHMS else None
        # the key decides the algorithm and the header must agree: this excludes `none`, and HMAC with a public key as the secret
        if key is None or header["alg"] != key.algorithm_name:
            raise Invalid
        options: Any = {"require": list(_REQUIRED), "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        claims = jwt.decode(token, key, [key.algorithm_name], audience=audience, issuer=issuer, options=options)
        starts, ends = max(float(claims.get("nbf", 0)), float(claims["iat"])), float(claims["exp"])
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise Invalid from None
    if not 0 <= ends <= NEVER.timestamp():
        raise Invalid
    if ends <= now.timestamp() - SKEW_S:
        raise Expired
    if starts > now.timestamp() + SKEW_S:
        raise NotYetActive
    return Read(claims, str(header.get("typ")), str(kid))


@functools.lru_cache(maxsize=256)
def _header(segment: str) -> dict[str, Any]:
    """Read the header, a JWT's first part; all tokens of one key and kind share it. Raises PyJWTError."""
    return jwt.get_unverified_header(segment + "..")
