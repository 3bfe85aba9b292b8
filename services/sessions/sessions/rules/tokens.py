"""The forms of session tokens and client tokens. Pure."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_RANDOM: Final = 24  # characters
_LARGEST_ID: Final = 2**31 - 1  # that the store can be asked for
_SESSION_TOKEN: Final = re.compile(r"[0-9a-fA-F]{8}[A-Za-z0-9]{24}").fullmatch
_CLIENT_TOKEN: Final = re.compile(r"[A-Za-z0-9-]{16,64}").fullmatch


def session_token(session_id: int, derived: bytes) -> str:
    """Write a session token: 8 hexadecimal digits of the session's id and 24 characters of a derived key (the form of today's clients).

    derived: 32 bytes, hence 24 characters of nearly even chance, 142 bits.
    """
    number = int.from_bytes(derived, "big")
    characters = []
    for _ in range(_RANDOM):
        number, place = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[place])
    return f"{session_id:08x}" + "".join(characters)


def session_of(token: str) -> int | None:
    """Return the id in a session token, for finding the session only; None when it has not the form of one."""
    number = int(token[:8], 16) if _SESSION_TOKEN(token) else None
    return number if number is not None and number <= _LARGEST_ID else None


def new_client_token() -> str:
    """Draw a client token."""
    return secrets.token_hex(16)


def is_client_token(token: str) -> bool:
    """Say whether a client may bear this token of its own making: 16 to 64 letters, digits and hyphens."""
    return _CLIENT_TOKEN(token) is not None


def digest(token: str) -> str:
    """Return what the store keeps of a client token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
