"""How tokens and changes are named outside.

A token's id is the milliseconds since 2021-05-01 in base 34 (digits and letters without I and O), shown in lower case without padding and
read in any case with any padding. A change's `seq` is an opaque text: its number, a dash, the epoch of the store.
"""

from __future__ import annotations

import datetime as dt
import re

ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
LONGEST = 32  # characters that a padded id has in the original store
BEGINNING = dt.datetime(2021, 5, 1, tzinfo=dt.UTC)

_VALUES = {sign: value for value, sign in enumerate(ALPHABET)}
_LARGEST = 2**63 - 1
_SEQ = re.compile(r"([0-9]{1,18})-([0-9a-z]{1,8})\Z").match


def milliseconds(moment: dt.datetime) -> int:
    """The number of a token made at `moment`."""
    return (moment - BEGINNING) // dt.timedelta(milliseconds=1)


def encode(number: int) -> str:
    """A number as a token id."""
    signs = ""
    while number:
        number, rest = divmod(number, len(ALPHABET))
        signs = ALPHABET[rest] + signs
    return (signs or "0").lower()


def decode(text: str) -> int | None:
    """The number of a token id (a larger one than the store holds becomes its largest); None for a text that can be no token's id."""
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


def write_seq(number: int, epoch: int) -> str:
    """The `seq` of a change."""
    return f"{number}-{encode(epoch)}"


def read_seq(text: str, epoch: int) -> int:
    """The change's number. A `seq` of another store means "from the beginning" (0). Raises ValueError when it is no `seq`."""
    match = _SEQ(text)
    if not match:
        raise ValueError("not a seq")
    return int(match[1]) if match[2] == encode(epoch) else 0
