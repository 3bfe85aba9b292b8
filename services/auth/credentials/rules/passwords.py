"""What a password may be. Hashing is in service/hashing.py."""

from __future__ import annotations

import hashlib
import unicodedata

MIN_LENGTH = 12
MAX_LENGTH = 256  # characters; beyond it nothing is hashed, so that a huge password costs nothing


def normalise(password: str) -> str:
    """Return one spelling for what different keyboards send for the same text (NIST SP 800-63B 5.1.1.2: NFKC)."""
    return unicodedata.normalize("NFKC", password)


def stamp(password_hash: str) -> str:
    """Return a text that changes with the password, for neighbours whose own credentials end with it.

    It tells nothing of the password: the hash, of which it is a digest, is salted and slow. A hash that is renewed at a sign-in, because
    hashing was made harder, changes it, too.
    """
    return hashlib.sha256(f"password stamp {password_hash}".encode()).hexdigest()[:32]


def impossible(password: str) -> bool:
    """Say whether nobody can have this password, so that it is refused unread.

    It is too long (normalising takes time in proportion), or it is not text.
    """
    return len(password) > MAX_LENGTH or any(0xD800 <= ord(one) <= 0xDFFF for one in password)


def problem(password: str, email: str = "") -> str | None:
    """Say why a new password is refused, in a sentence for people; None when it is not."""
    if len(password) > MAX_LENGTH:
        return f"Longer than {MAX_LENGTH} characters."
    password = normalise(password)
    if len(password) < MIN_LENGTH:
        return f"Shorter than {MIN_LENGTH} characters."
    if any(unicodedata.category(one) in ("Cc", "Cs") for one in password):
        return "Holds a control character."
    if len(set(password)) < 4:
        return "Repeats fewer than four different characters."
    if email and password.casefold() == email.casefold():
        return "Is the e-mail address."
    return None
