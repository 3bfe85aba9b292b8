"""Finds entries of a list that can never decide, because entries before them take all of their requests.

Only what can be shown from the texts is found: of patterns of literals, `{name}` segments, `^` and `$`, behind patterns of any kind.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from services.gateway.routing.patterns import Matching, PatternList, translate

_MOST: Final = 300  # entries that are compared, each with all before it
_SEGMENT: Final = re.compile(r"(?<=/)\{[^{}/]*\}")
_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9/_~%@!&=:,; -]|\\\.)*")
_ENDS: Final = re.compile(r"\$|\\[zZbB]|\(\?")
_STARTS: Final = re.compile(r"\^|\\A")
# What a segment may be: of all these, a pattern that takes any segment takes each.
_SEGMENTS: Final = ("", "a", "Z9", "0", "%C3%A9", "x.y-z_~")


class Line(NamedTuple):
    """An entry. methods: None = all."""

    path: str
    methods: Collection[str] | None
    ignore_case: bool = False


def taken(lines: Sequence[Line], matching: Matching) -> Iterator[tuple[int, int]]:
    """Yield the places of lines that never decide, each with the place of a line before it that takes its requests."""
    lines = lines[:_MOST]
    searches = [PatternList([translate(line.path, matching, line.ignore_case)]) for line in lines]
    for place, line in enumerate(lines):
        before = [other for other in range(place) if _covers(lines[other], searches[other], line, matching)]
        whole = [other for other in before if lines[other].methods is None]
        takers: list[int | None] = [None]
        if whole:
            takers = [whole[0]]
        elif line.methods:
            takers = [next((other for other in before if method in (lines[other].methods or ())), None) for method in line.methods]
        if takers[0] is not None and None not in takers:
            yield place, takers[0]


def _covers(earlier: Line, search: PatternList, later: Line, matching: Matching) -> bool:
    """Whether every path that `later` matches is one that `earlier` matches. False when that cannot be shown. search: of `earlier`."""
    if later.ignore_case and not earlier.ignore_case:
        return False
    if earlier.path == later.path:
        return True
    text, anchored, ended = later.path, matching != "search", matching == "exact"
    if text.startswith("^"):
        text, anchored = text[1:], True
    if text.endswith("$"):
        text, ended = text[:-1], True
    if _LITERAL.fullmatch(_SEGMENT.sub("", text)) is None:
        return False
    if _STARTS.search(earlier.path) and not anchored:
        return False
    if _ENDS.search(earlier.path) and (matching == "prefix" or not ended):
        return False
    literal = text.replace("\\.", ".")
    return all(search.first(_SEGMENT.sub(segment, literal)) == 0 for segment in _SEGMENTS)
