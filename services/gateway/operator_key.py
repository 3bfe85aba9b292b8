"""Read the operator key from a request, and compare it."""

from __future__ import annotations

import hmac
from typing import Final

_SCHEME: Final = b"bearer "


def given_in(authorization: bytes) -> bytes:
    """Return the key of an `authorization` header, with or without `Bearer`."""
    return authorization[len(_SCHEME) :].strip() if authorization[: len(_SCHEME)].lower() == _SCHEME else authorization


def is_operator_key(given: bytes, key: str) -> bool:
    """Compare in constant time. key: the operator key; an empty one matches nothing."""
    return bool(key) and hmac.compare_digest(given, key.encode())
