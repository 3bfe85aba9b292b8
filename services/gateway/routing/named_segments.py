"""Listen paths with `{name}` segments: each stands for any one segment (`/{tenant}/files/`).

It does not stand for a segment with `%2F` or `%5C`, because a server that takes these for slashes would see several segments.

The listen paths are kept by their shape (which of their segments are named), and within a shape by the other segments. A look-up costs one
dict access for each shape, however many APIs there are. The winner comes first: the longest, then the one whose first differing segment is
not a `{name}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import compress

from services.gateway.exchange import CompiledApi
from services.gateway.routing.places import ANY_SEGMENT

_Shape = tuple[bool, ...]  # of each segment, whether it is fixed
_Shapes = dict[_Shape, dict[tuple[str, ...], CompiledApi]]


def count_segments(listen_path: str) -> int:
    """Return how many segments a listen path has when one of them is named; 0 = none is, and its length in characters counts."""
    return listen_path.count("/") - 1 if "{" in listen_path else 0


def end_of(path: str, segments: int) -> int:
    """Return where the first `segments` segments of a path end, in characters."""
    end = 0
    for _ in range(segments):
        end = path.find("/", end + 1)
        if end < 0:
            return len(path)
    return end


class NamedSegments:
    """The APIs of one host whose listen paths have named segments."""

    __slots__ = ("_shapes",)

    def __init__(self, shapes: _Shapes | None = None) -> None:
        self._shapes = shapes or {}

    def changed(self, owners: Mapping[str, CompiledApi | None]) -> NamedSegments:
        """Return another object with these owners of places; None = a place has lost its owner."""
        shapes = self._shapes.copy()
        copied: set[_Shape] = set()
        for place, api in owners.items():
            segments = place[1:-1].split("/")
            shape = tuple(segment != ANY_SEGMENT for segment in segments)
            if shape not in copied:
                copied.add(shape)
                shapes[shape] = shapes.get(shape, {}).copy()
            fixed = tuple(compress(segments, shape))
            if api is None:
                shapes[shape].pop(fixed, None)
            else:
                shapes[shape][fixed] = api
        order = sorted((shape for shape, owned in shapes.items() if owned), key=lambda shape: (len(shape), shape), reverse=True)
        return NamedSegments({shape: shapes[shape] for shape in order})

    def __bool__(self) -> bool:
        return bool(self._shapes)

    def find(self, path: str) -> tuple[CompiledApi | None, int]:
        """Find the owner of a path and how many segments it owns. path: canonical."""
        given = path[1:].split("/")
        for shape, owned in self._shapes.items():
            if len(given) >= len(shape):
                api = owned.get(tuple(compress(given, shape)))
                if api is not None and all(map(_matches, shape, given)):
                    return api, len(shape)
        return None, 0


def _matches(fixed: bool, segment: str) -> bool:
    """Tell whether a segment fits a fixed one (they were compared already) or a named one."""
    return fixed or (bool(segment) and "%2F" not in segment and "%5C" not in segment)
