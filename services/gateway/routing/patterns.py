"""Path patterns: what an operator writes in a list, compiled so that a list of many costs little more than one.

A pattern is a regular expression in RE2's syntax (Tyk's own) in which `{name}` stands for one segment (`[^/]*`). Directly behind a slash,
braces stand for a segment whatever they hold (`/{1}`, `/{id:[0-9]{4}}`); elsewhere `{2}` and `{2,3}` are repetitions, as in any regular
expression.

All patterns run on RE2, none on `re`. RE2 follows all ways to match at once, so the length of the path times the size of the patterns
bounds its time (https://github.com/google/re2/wiki/WhyRE2). `re` tries one way after the other: each `a?` in `a?a?a?aaa` doubles its time,
and each `.` in `/{a}..../{b}..../` that may match a slash multiplies it. A list is one search for all of its patterns; it takes less than a
microsecond for a short path, so harmless patterns would gain little from `re`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NewType

import re2

Matching = Literal["search", "prefix", "exact"]
MATCHINGS: Final[tuple[Matching, ...]] = ("search", "prefix", "exact")
# In RE2's syntax, checked by `translate`.
Pattern = NewType("Pattern", str)

LONGEST: Final = 8192
# RE2 builds a state for each combination of what the patterns of a search have seen so far. A search of this many needs few states. With a
# thousand, a hostile path can need a new state for each of its bytes, which costs ten times as much.
_TOGETHER: Final = 64
_REPETITION: Final = re.compile(r"\{\d+(?:,\d*)?\}")
_NAME: Final = re.compile(r"\{[^{}]*\}")
_BEHIND_SLASH: Final = re.compile(r"\{(?:[^{}]|\{[^{}]*\})*\}")
_SEGMENT: Final = "(?:[^/]*)"


class PatternError(ValueError):
    """RE2 does not accept a pattern; the text says why."""


def translate(text: str, matching: Matching = "search", ignore_case: bool = False) -> Pattern:
    """Translate what an operator wrote and check it.

    matching: `search` anywhere in the path (Tyk's), `prefix` whole segments from the start, `exact` the whole path.
    Raises PatternError.
    """
    if len(text) > LONGEST:
        raise PatternError(f"it is longer than {LONGEST} characters")
    source = _scan(text)
    if matching != "search":
        _compile(source)  # `a)|(b` is valid between parentheses only
        source = _anchored(source, matching)
    if ignore_case:
        source = f"(?i){source}"
    _compile(source)
    return Pattern(source)


def expression(text: str, *, of_bytes: bool = False) -> Any:
    """Compile a regular expression as it stands, without `{name}`; of_bytes: for what is not text. Raises PatternError."""
    if len(text) > LONGEST:
        raise PatternError(f"it is longer than {LONGEST} characters")
    return _compile(text.encode() if of_bytes else text)


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


def _compile(source: str | bytes) -> Any:
    try:
        return re2.compile(source, _options())
    except re2.error as error:
        reason = error.args[0] if error.args else "it is not a regular expression"
        if isinstance(reason, bytes):
            reason = reason.decode("utf-8", "replace")
        raise PatternError(str(reason)) from None
    except UnicodeError:
        raise PatternError("it holds half of a surrogate pair") from None


def _scan(text: str) -> str:
    """Return RE2's source: `{name}` written as a segment, everything else as it is."""
    source: list[str] = []
    place = 0
    while place < len(text):
        part = text[place]
        if part == "\\":
            part = _escape(text, place)
        elif part == "[":
            part = _bracket(text, place)
        elif part == "{":
            behind_slash = text[place - 1 : place] == "/"
            repetition = _REPETITION.match(text, place) if place and not behind_slash else None
            name = (_BEHIND_SLASH if behind_slash else _NAME).match(text, place)
            part = repetition.group() if repetition else name.group() if name else part
            source.append(_SEGMENT if name and not repetition else part)
            place += len(part)
            continue
        source.append(part)
        place += len(part)
    return "".join(source)


def _escape(text: str, place: int) -> str:
    """Return the whole escape at `place`: `\\Q...\\E`, `\\p{Greek}`, `\\x{10FFFF}` or a backslash and one character."""
    kind = text[place + 1 : place + 2]
    if kind == "Q":
        end = text.find("\\E", place)
        return text[place:] if end < 0 else text[place : end + 2]
    if kind in ("p", "P", "x") and text[place + 2 : place + 3] == "{":
        end = text.find("}", place)
        if end > 0:
            return text[place : end + 1]
    return text[place : place + 2]


def _bracket(text: str, place: int) -> str:
    """Return the whole character class at `place`; what is never closed is left to RE2 to refuse."""
    at = place + 1
    at += text[at : at + 1] == "^"
    at += text[at : at + 1] == "]"
    last_class = text.rfind(":]")
    while at < len(text) and text[at] != "]":
        if at < last_class and text.startswith("[:", at):
            at = text.index(":]", at) + 2
        else:
            at += 2 if text[at] == "\\" else 1
    return text[place : at + 1]


def _anchored(source: str, matching: Matching) -> str:
    body = source.removeprefix("^")
    start = "^" if body.startswith("/") else "^/?"
    if matching == "exact":
        return f"{start}(?:{body})$"
    if body.endswith("/"):
        body = body[:-1]
        if (len(body) - len(body.rstrip("\\"))) % 2:  # the slash was written as an escape
            body = body[:-1]
    return f"{start}(?:{body})(?:/|$)" if body else "^"


class PatternList:
    """Patterns in order."""

    __slots__ = ("_searches",)

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._searches = [(start, _search(patterns[start : start + _TOGETHER])) for start in range(0, len(patterns), _TOGETHER)]

    def first(self, path: str) -> int:
        """Return the index of the first pattern that matches, or -1."""
        for start, search in self._searches:
            found = search(path)
            if found >= 0:
                return start + found
        return -1


def _search(patterns: Sequence[Pattern]) -> Callable[[str], int]:
    """Return one search for some patterns, which gives the index of the first that matches, or -1."""
    together = re2.Set.SearchSet(_options())
    # RE2 answers "nothing" when a set runs out of memory; a last pattern, which matches everything, tells that apart.
    for pattern in (*patterns, ""):
        together.Add(pattern)
    last = len(patterns)
    try:
        together.Compile()
        together.Match("/")
    except Exception:  # too large for one set
        return _one_by_one(patterns)
    match: Callable[[str], list[int]] = together.Match

    def search(path: str) -> int:
        matched = match(path)
        if last not in matched:
            return _one_by_one(patterns)(path)
        first = min(matched)
        return first if first < last else -1

    return search


def _one_by_one(patterns: Sequence[Pattern]) -> Callable[[str], int]:
    searches = [_compile(pattern).search for pattern in patterns]
    return lambda path: next((place for place, search in enumerate(searches) if search(path) is not None), -1)
