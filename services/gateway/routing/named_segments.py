"""Listen paths with `{name}` segments, each of which stands for any one segment (`/{tenant}/files/`).

A segment with `%2F` or `%5C` is none of them: a server that takes these for slashes would see several.

They are few, so they are kept apart from the others and looked through one after the other, those that win first: the longest, then those
whose first differing segment is not a `{name}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from services.gateway.exchange import CompiledApi

_NAMED: Final = re.compile(r"/\{[^/{}]*\}(?=/)")
_ANY_SEGMENT: Final = "/{}"


def place(listen_path: str) -> str:
    """The place that a listen path owns: without the names, which make no difference. listen_path: in its one form."""
    return _NAMED.sub(_ANY_SEGMENT, listen_path) if "{" in listen_path else listen_path


def count_segments(listen_path: str) -> int:
    """How many segments a listen path has when one of them is named; 0 = none is, and its length in characters counts."""
    return listen_path.count("/") - 1 if "{" in listen_path else 0


def end_of(path: str, segments: int) -> int:
    """Where the first `segments` segments of a path end, in characters."""
    end = 0
    for _ in range(segments):
        end = path.find("/", end + 1)
        if end < 0:
            return len(path)
    return end


class NamedSegments:
    """The APIs of one host whose listen paths have named segments."""

    __slots__ = ("_apis",)

    def __init__(self, apis: Iterable[CompiledApi]) -> None:
        found = []
        for api in apis:
            segments = place(api.listen_path)[1:-1].split("/")
            found.append((-len(segments), [segment == "{}" for segment in segments], segments, api))
        found.sort(key=lambda entry: entry[:3])
        self._apis = [([None if segment == "{}" else segment for segment in segments], api) for _, _, segments, api in found]

    def changed(self, owners: Mapping[str, CompiledApi | None]) -> NamedSegments:
        """Others with these owners of places; None = nobody owns it any more."""
        kept = (api for _, api in self._apis if place(api.listen_path) not in owners)
        return NamedSegments([*kept, *(api for api in owners.values() if api is not None)])

    def __bool__(self) -> bool:
        return bool(self._apis)

    def find(self, path: str) -> tuple[CompiledApi | None, int]:
        """The owner of a path and how many segments it owns. path: canonical."""
        given = path[1:].split("/")
        for wanted, api in self._apis:
            if len(given) >= len(wanted) and all(map(_matches, wanted, given)):
                return api, len(wanted)
        return None, 0


def _matches(own: str | None, segment: str) -> bool:
    """own: None = any segment."""
    if own is not None:
        return own == segment
    return bool(segment) and "%2F" not in segment and "%5C" not in segment
