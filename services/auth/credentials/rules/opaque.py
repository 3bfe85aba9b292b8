"""Opaque secrets that auth gives out: their shape, how they are recognised, how they are kept.

`gh_<kind>_<43 characters><6 check characters>`: 256 random bits in base 62 behind a prefix that scanners of leaked secrets find, and a
CRC-32 behind them, so that a mistyped or invented one is refused without asking the database. Only the SHA-256 is kept: a slower hash
protects secrets that can be guessed, and these are random.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

ACCOUNT = "acc"
ANALYSIS = "ana"
MIDDLEWARE = "mid"
REFRESH = "ref"
LOGIN_KEY = "key"
CLIENT = "cli"
CODE = "cod"
SESSION = "web"
DEVICE = "dev"

KIND_OF_ACCESS_TOKEN = {"account": ACCOUNT, "analysis": ANALYSIS, "middleware": MIDDLEWARE}
ACCESS_TOKEN_OF_PREFIX = {prefix: kind for kind, prefix in KIND_OF_ACCESS_TOKEN.items()}

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM = 43  # 62 ** 43 > 2 ** 256
_CHECK = 6
_SHAPE = re.compile(rf"gh_([a-z]{{3}})_([0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECK}}})")


def make(prefix: str) -> str:
    """Return a new secret of the kind."""
    random = _base62(secrets.randbits(256), _RANDOM)
    return f"gh_{prefix}_{random}{_check(prefix, random)}"


def prefix_of(text: str) -> str | None:
    """Return the kind of a well-formed secret, or None for everything else."""
    match = _SHAPE.fullmatch(text)
    if not match or match[3] != _check(match[1], match[2]):
        return None
    return match[1]


def digest(secret: str) -> str:
    """Return what is kept of a secret: its SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _check(prefix: str, random: str) -> str:
    return _base62(zlib.crc32(f"{prefix}_{random}".encode()), _CHECK)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def generated_secret(length: int = 32) -> str:
    """Return text for a generated master key or password; without characters that a terminal or a person misreads."""
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    return "".join(secrets.choice(alphabet) for _ in range(length))
