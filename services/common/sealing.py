"""Seal what a service must be able to read again and a copy of its database must not give away: AES-256-GCM under a master key.

Every purpose has a key of its own, derived from the master key, and every value is bound to the place that it belongs in: a sealed value
that is moved to another row does not open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import Any, Final

SHORTEST_KEY: Final = 32
_NONCE: Final = 12
_FINGERPRINT: Final = 32


def parse_master_key(text: str) -> str:
    """Parse the setting. Raises ValueError for a key that could be guessed; the message never repeats it."""
    if len(text) < SHORTEST_KEY:
        raise ValueError(f"must have {SHORTEST_KEY} characters or more")
    return text


class NotOpened(Exception):
    """The master key is not the one that sealed it, or it was sealed for another place, or it was changed."""


class Seal:
    """Seals and opens for one purpose. Thread-safe. purpose: fixed text, part of the derived key; another one opens nothing."""

    def __init__(self, purpose: str, master_key: str) -> None:
        # Imported here: a process that has nothing to seal is spared OpenSSL, some 6 MB.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher: Any = AESGCM(hashlib.sha256(f"{purpose}\0{master_key}".encode()).digest())

    def seal(self, plain: bytes, place: str) -> str:
        """Return base64 of nonce and ciphertext. place: what it belongs to, such as the row's id; needed to open it."""
        nonce = os.urandom(_NONCE)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, plain, place.encode())).decode("ascii")

    def open(self, sealed: str, place: str) -> bytes:
        """Open what `seal` returned for this place. Raises NotOpened."""
        from cryptography.exceptions import InvalidTag

        try:
            raw = base64.b64decode(sealed, validate=True)
            plain: bytes = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], place.encode())
        except (InvalidTag, ValueError):
            raise NotOpened from None
        return plain


def fingerprint(purpose: str, master_key: str) -> str:
    """Tell one master key from another without help in finding it: HMAC-SHA-256 in hexadecimal, shortened to 128 bits."""
    return hmac.new(master_key.encode(), f"{purpose}\0fingerprint".encode(), hashlib.sha256).hexdigest()[:_FINGERPRINT]
