"""What a password may be. Hashing lives in service/hashing.py."""

from __future__ import annotations

import unicodedata

MIN_LENGTH = 12
MAX_LENGTH = 256  # characters; beyond it nothing is hashed, so that a huge password costs nobody anything


def normalise(password: str) -> str:
    """One spelling for what different keyboards send for the same text (NIST SP 800-63B 5.1.1.2: NFKC)."""
    return unicodedata.normalize("NFKC", password)


def too_long(password: str) -> bool:
    """Whether a password is refused unread. Judged before normalising: that costs time in proportion to the length."""
    return len(password) > MAX_LENGTH


def problem(password: str, email: str = "") -> str | None:
    """Why a new password is refused, as a sentence for people, or None."""
    if too_long(password):
        return f"Longer than {MAX_LENGTH} characters."
    password = normalise(password)
    if len(password) < MIN_LENGTH:
        return f"Shorter than {MIN_LENGTH} characters."
    if any(unicodedata.category(one) == "Cc" for one in password):
        return "Holds a control character."
    if len(set(password)) < 4:
        return "Repeats fewer than four different characters."
    if email and password.casefold() == email.casefold():
        return "Is the e-mail address."
    return None
