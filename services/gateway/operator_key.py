"""The first operator key, and the access keys of operators: how they are read from a request, compared and recognised.

An access key is `gh_ope_<43 characters><6 check characters>`: 256 random bits in base 62 behind a prefix that scanners of leaked secrets
find, and a CRC-32 behind them, so that an invented one is refused without asking the database. Only its SHA-256 is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from typing import Final

_SCHEME: Final = b"bearer "
_PREFIX: Final = "gh_ope_"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM: Final = 43  # 62 ** 43 > 2 ** 256
_CHECK: Final = 6
_SHAPE: Final = re.compile(rf"{_PREFIX}([0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECK}}})")


def given_in(authorization: bytes) -> bytes:
    """Return the key of an `authorization` header, with or without `Bearer`."""
    return authorization[len(_SCHEME) :].strip() if authorization[: len(_SCHEME)].lower() == _SCHEME else authorization


def is_operator_key(given: bytes, key: str) -> bool:
    """Compare in constant time. key: the operator key; an empty one matches nothing."""
    return bool(key) and hmac.compare_digest(given, key.encode())


def new_access_key() -> str:
    """Create the access key of an operator."""
    random = _base62(secrets.randbits(256), _RANDOM)
    return f"{_PREFIX}{random}{_check(random)}"


def access_key_hash(given: bytes) -> str | None:
    """Return the SHA-256 of an access key, by which it is stored; None for a text that is none."""
    match = _SHAPE.fullmatch(given.decode("latin-1"))
    if match is None or match[2] != _check(match[1]):
        return None
    return hashlib.sha256(given).hexdigest()


def _check(random: str) -> str:
    return _base62(zlib.crc32(f"{_PREFIX}{random}".encode()), _CHECK)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
