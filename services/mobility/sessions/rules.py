"""Session keys: how they are made, how long they live. No framework."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from typing import Final

LIFE: Final = dt.timedelta(minutes=1)  # from the login, and again from each write (the original's documentation)
PREFIX: Final = "gh_mob_"  # scanners find what is leaked
_LONGEST: Final = 200


def new_key() -> str:
    """Generate a session key: letters and digits behind the prefix, as logs know what to mask."""
    return PREFIX + secrets.token_hex(32)


def digest(key: str) -> str:
    """Return what the database keeps of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def is_key(text: str) -> bool:
    """Say whether a text may be a session key: an empty header is asked of no database."""
    return text.startswith(PREFIX) and len(text) <= _LONGEST
