"""Path patterns: what an operator writes in a list, compiled so that a list of many costs little more than one.

A pattern is a regular expression in RE2's syntax (Tyk's own) in which `{name}` stands for one segment (`[^/]*`). `{2}` and `{2,3}` after
something are repetitions, as in any regular expression. RE2 is linear in time, so no pattern can hang a worker; it is also
30 times slower than `re` on short text. Therefore patterns made only of literal characters, `.`, `{name}` after a slash, an optional
character and anchors at the ends (nearly all that are written) run on `re`, where they cannot backtrack beyond one segment and mean
exactly the same. All others stay with RE2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

import re2

Matching = Literal["search", "prefix", "exact"]

_REPETITION: Final = re.compile(r"\{\d+(?:,\d*)?\}")
_NAME: Final = re.compile(r"\{[^{}]*\}")
_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_SEGMENT: Final = "(?:[^/]*)"


class PatternError(ValueError):
    """A pattern that RE2 does not take; the text says why."""


class Pattern(NamedTuple):
    """A translated pattern: `source` for RE2; `simple` the same for `re`, or None when only RE2 will do."""

    source: str
    simple: str | None


def translate(text: str, matching: Matching = "search", ignore_case: bool = False) -> Pattern:
    """Translates what an operator wrote and checks it.

    matching: `search` anywhere in the path (Tyk's), `prefix` whole segments from the start, `exact` the whole path.
    Raises PatternError.
    """
    source, simple = _scan(text, matching)
    _compile(source)
    if matching != "search":
        source = _anchored(source, matching)
        simple = None if simple is None else _anchored_simple(simple, matching)
    if ignore_case:
        source, simple = f"(?i){source}", None
    _compile(source)
    return Pattern(source, simple)


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


def _compile(source: str) -> Any:
    try:
        return re2.compile(source, _options())
    except re2.error as error:
        reason = error.args[0] if error.args else "it is not a regular expression"
        if isinstance(reason, bytes):
            reason = reason.decode("utf-8", "replace")
        raise PatternError(str(reason)) from None
    except UnicodeError:
        raise PatternError("it holds half of a surrogate pair") from None


def _scan(text: str, matching: Matching) -> tuple[str, str | None]:
    """RE2's source, and the source for `re` when every part of the pattern is simple."""
    source: list[str] = []
    parts: list[str] = []
    simple = True
    last = ""  # the literal character just written, for `{name}` after a slash and `?` after a character
    place, end = 0, len(text)
    while place < end:
        char = text[place]
        token, literal = char, ""
        if char == "\\":
            token = _escape(text, place)
            literal = token[1] if len(token) == 2 and token[1] in _PUNCTUATION else ""
            simple = simple and literal != ""
            parts.append(re.escape(literal))
        elif char == "[":
            token = _bracket(text, place)
            simple = False
        elif char == "{":
            repetition = _REPETITION.match(text, place) if place else None
            name = _NAME.match(text, place)
            simple = simple and name is not None and repetition is None and last == "/"
            token = repetition.group() if repetition else name.group() if name else char
            place += len(token)
            source.append(_SEGMENT if name and not repetition else token)
            parts.append("[^/]*")
            last = ""
            continue
        elif char == "^":
            simple = simple and place == 0
            parts.append(r"\A")
        elif char == "$":
            simple = simple and place == end - 1
            parts.append(r"\Z")
        elif char == ".":
            if matching == "search" and text[place:] == ".*":  # at the end of a search it asks for nothing
                source.append(".*")
                break
            parts.append(".")
        elif char == "?":
            simple = simple and last != ""
            parts.append("?")
        elif char in "*+()|":
            simple = False
        else:
            literal = char
            parts.append(re.escape(char))
        source.append(token)
        last = literal
        place += len(token)
    return "".join(source), "".join(parts) if simple else None


def _escape(text: str, place: int) -> str:
    """The whole escape at `place`: `\\Q...\\E`, `\\p{Greek}`, `\\x{10FFFF}` or a backslash and one character."""
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
    """The whole character class at `place`; what is never closed is left to RE2 to refuse."""
    at = place + 1
    at += text[at : at + 1] == "^"
    at += text[at : at + 1] == "]"
    while at < len(text) and text[at] != "]":
        if text.startswith("[:", at) and ":]" in text[at:]:
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


def _anchored_simple(simple: str, matching: Matching) -> str:
    body = simple.removeprefix(r"\A")
    start = r"\A" if body.startswith("/") else r"\A/?"
    if matching == "exact":
        return f"{start}(?:{body})\\Z"
    body = body.removesuffix("/")
    return f"{start}(?:{body})(?:/|\\Z)" if body else r"\A"


class PatternList:
    """Patterns in order; `first(path)` is the index of the first that matches, or -1."""

    __slots__ = ("_complex", "_complex_places", "_places", "_search", "_set", "_single_pass")

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        simple = [(index, pattern.simple) for index, pattern in enumerate(patterns) if pattern.simple is not None]
        self._places = [index for index, _ in simple]
        # All anchored: the alternatives are tried in order at the one place where they can match.
        self._single_pass = all(source.startswith(r"\A") for _, source in simple)
        self._search: Callable[..., re.Match[str] | None] | None = None
        if simple:
            # The empty groups tell which alternative matched and leave `re` free to factor out what all begin with.
            compiled = re.compile("|".join(f"{source}()" for _, source in simple))
            self._search = compiled.match if self._single_pass else compiled.search
        sources = [(index, pattern.source) for index, pattern in enumerate(patterns) if pattern.simple is None]
        self._complex_places = [index for index, _ in sources]
        self._complex = [_compile(source).search for _, source in sources]
        self._set = _set([source for _, source in sources])

    def first(self, path: str) -> int:
        found = -1
        if self._search is not None:
            match = self._search(path)
            if match is not None:
                found = match.lastindex or 1
                if not self._single_pass:
                    # At each place the lowest alternative wins, but a later place may match a lower one. `re` looks at the end again
                    # when it is told to look behind it, and would find what matches nothing there for ever.
                    while found > 1 and match.start() < len(path):
                        match = self._search(path, match.start() + 1)
                        if match is None:
                            break
                        found = min(found, match.lastindex or 1)
                found = self._places[found - 1]
        if self._set is not None and (found < 0 or self._complex_places[0] < found):
            place = self._first_complex(path)
            if place >= 0 and (found < 0 or place < found):
                return place
        return found

    def _first_complex(self, path: str) -> int:
        matched = self._set(path) if self._set is not None else None
        last = len(self._complex)
        if matched and last in matched:
            first = min(matched)
            return -1 if first == last else self._complex_places[first]
        for place, search in zip(self._complex_places, self._complex, strict=True):
            if search(path) is not None:
                return place
        return -1


def _set(sources: list[str]) -> Callable[[str], list[int] | None] | None:
    """One search for all of the patterns; its answer is the indexes that match, with `len(sources)` always among them.

    RE2 answers "nothing" when a set runs out of memory; the last pattern, which matches everything, tells that apart.
    """
    if not sources:
        return None
    together = re2.Set.SearchSet(_options())
    for source in (*sources, ""):
        together.Add(source)
    try:
        together.Compile()
        together.Match("/")
    except Exception:  # too many for one set: each is asked on its own
        return lambda path: None
    match: Callable[[str], list[int] | None] = together.Match
    return match
