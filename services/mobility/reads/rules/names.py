"""Search by name: what counts as the same letter, and how alike two names are. No framework, no store.

Every store must find the same, and none knows the small letters of all languages without being told: so the rule stands here. A letter of
ASCII equals its other case; any other letter equals the letters that Unicode folds to the same one letter. `ß` is not `ss`, and a letter
with its accent is not the letter followed by an accent of its own.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

SIMILAR: Final = 0.3  # at least, as in PostgreSQL's pg_trgm
_WORD: Final = re.compile(r"[^\W_]+")
_LAST_CASED: Final = 0x1E943  # no letter after it has a case


def fold(text: str) -> str:
    """Return a text whose letters stand for all that equal them."""
    return text.lower() if text.isascii() else "".join(map(_fold_letter, text))


def _fold_letter(letter: str) -> str:
    if letter < "\x80":
        return letter.lower()
    for folded in (letter.casefold(), letter.lower()):
        if len(folded) == 1 and folded >= "\x80":
            return folded
    return letter


def others(folded: str) -> list[tuple[str, str]]:
    """Return which letters beyond ASCII equal those of a folded text: (other, letter of the text)."""
    if folded.isascii():
        return []
    return [(other, letter) for letter in dict.fromkeys(folded) for other in _equals().get(letter, ())]


@functools.cache
def _equals() -> Mapping[str, Sequence[str]]:
    """The letters beyond ASCII that fold to another one, by that one."""
    found: dict[str, list[str]] = {}
    for code in range(0x80, _LAST_CASED + 1):
        letter = chr(code)
        if (folded := _fold_letter(letter)) != letter:
            found.setdefault(folded, []).append(letter)
    return found


def trigrams(text: str) -> frozenset[str]:
    """Return the trigrams of a text's words, as pg_trgm has them: two spaces before a word, one after."""
    found: set[str] = set()
    for word in _WORD.findall(fold(text)):
        padded = f"  {word} "
        found.update(padded[start : start + 3] for start in range(len(padded) - 2))
    return frozenset(found)


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Say how alike two texts are by their trigrams: those of both among those of either, 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def least_shared(sought: frozenset[str]) -> int:
    """Return how many of its trigrams every similar text has."""
    return max(1, math.ceil(SIMILAR * len(sought) - 1e-9))
