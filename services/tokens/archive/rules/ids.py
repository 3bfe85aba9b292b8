"""Token ids.

A token's id is the milliseconds since 2021-05-01 in base 34 (digits and letters without I and O), written in lower case without padding and
read in any case with any padding.
"""

from __future__ import annotations

import datetime as dt

ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
LONGEST = 32  # characters that a padded id has in the original store
BEGINNING = dt.datetime(2021, 5, 1, tzinfo=dt.UTC)

_VALUES = {sign: value for value, sign in enumerate(ALPHABET)}
_LARGEST = 2**63 - 1


def milliseconds(moment: dt.datetime) -> int:
    """Count the milliseconds from the beginning to `moment`: the number of a token of that moment."""
    return (moment - BEGINNING) // dt.timedelta(milliseconds=1)


def encode(number: int) -> str:
    """Write a number as a token id."""
    signs = ""
    while number:
        number, rest = divmod(number, len(ALPHABET))
        signs = ALPHABET[rest] + signs
    return (signs or "0").lower()


def decode(text: str) -> int | None:
    """Read the number of a token id; None when no token can have it. A number too large for the store becomes its largest."""
    text = text.upper()
    if not text or len(text) > LONGEST:
        return None
    number = 0
    for sign in text:
        value = _VALUES.get(sign)
        if value is None:
            return None
        number = number * len(ALPHABET) + value
    return min(number, _LARGEST)
