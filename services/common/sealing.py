"""Seal what a service must be able to read again and a copy of its database must not give away: AES-256-GCM under a master key.

Every purpose has a key of its own, derived from the master key, and every value is bound to the place that it belongs in: a sealed value
that is moved to another row does not open.

A master key may have several lines while it is rotated: the first seals, all of them open (`resealing.py` makes the others needless).
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any, Final

from services.common.secret_file import secret_file

SHORTEST_KEY: Final = 32
_NONCE: Final = 12
_FINGERPRINT: Final = 32


def parse_master_key(text: str) -> str:
    """Parse the setting. Raises ValueError for a key that could be guessed; the message never repeats it."""
    lines = keys_of(text)
    if not lines or any(len(line) < SHORTEST_KEY for line in lines):
        raise ValueError(f"must have {SHORTEST_KEY} characters or more{' in each of its lines' if len(lines) > 1 else ''}")
    return text


def keys_of(master_key: str) -> list[str]:
    """Return the lines of a master key: the one that seals, then those that only open."""
    return [line for line in master_key.replace("\r", "").split("\n") if line]


def master_key_file(path: Path) -> str:
    """Return the master key of a file, which only its owner reads; draw one when there is none. Raises OSError."""
    try:
        return parse_master_key(secret_file(path, lambda: secrets.token_urlsafe(32)))
    except ValueError as error:  # UnicodeDecodeError is one
        why = "is not text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise OSError(errno.EINVAL, f"the master key {why}", str(path)) from None


class NotOpened(Exception):
    """The master key is not the one that sealed it, or it was sealed for another place, or it was changed."""


class Seal:
    """Seals and opens for one purpose. Thread-safe. purpose: fixed text, part of the derived key; another one opens nothing."""

    def __init__(self, purpose: str, master_key: str) -> None:
        # Imported here: a process that has nothing to seal is spared OpenSSL, some 6 MB.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._ciphers: list[Any] = [AESGCM(hashlib.sha256(f"{purpose}\0{key}".encode()).digest()) for key in keys_of(master_key)]

    def seal(self, plain: bytes, place: str) -> str:
        """Return base64 of nonce and ciphertext. place: what it belongs to, such as the row's id; needed to open it."""
        nonce = os.urandom(_NONCE)
        return base64.b64encode(nonce + self._ciphers[0].encrypt(nonce, plain, place.encode())).decode("ascii")

    def open(self, sealed: str, place: str) -> bytes:
        """Open what `seal` returned for this place. Raises NotOpened."""
        return self._open(sealed, place)[0]

    def again(self, sealed: str, place: str) -> str | None:
        """Return the same sealed with the first key; None when that is what sealed it. Raises NotOpened."""
        plain, number = self._open(sealed, place)
        return self.seal(plain, place) if number else None

    def _open(self, sealed: str, place: str) -> tuple[bytes, int]:
        """Return what was sealed, and the number of the key that opens it. Raises NotOpened."""
        from cryptography.exceptions import InvalidTag

        try:
            raw = base64.b64decode(sealed, validate=True)
        except ValueError:
            raise NotOpened from None
        for number, cipher in enumerate(self._ciphers):
            with contextlib.suppress(InvalidTag, ValueError):
                return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], place.encode()), number
        raise NotOpened


def fingerprints(purpose: str, master_key: str) -> dict[str, str]:
    """Tell one master key from another without help in finding it: of each line HMAC-SHA-256 in hexadecimal, shortened to 128 bits.

    Returns fingerprint → line, in the order of the lines.
    """
    text = f"{purpose}\0fingerprint".encode()
    return {hmac.new(key.encode(), text, hashlib.sha256).hexdigest()[:_FINGERPRINT]: key for key in keys_of(master_key)}
