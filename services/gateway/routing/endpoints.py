"""Tables of endpoints: which entry of a list applies to a method and a path.

All lists of a definition that name paths use such a table: the ignored, black and white lists together, hard time-outs, size limits. The
first entry whose path and method match decides; an entry that names other methods does not end the search. The table is split by method
when it is built, so that a request meets only entries that can apply to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from services.common.remembered import Remembered
from services.gateway.routing.paths import matching_form, matching_forms
from services.gateway.routing.patterns import Pattern, PatternList

Value = TypeVar("Value")

# How many answers are remembered, and how long a method and a path together may be (characters).
REMEMBERED: Final = (2048, 128)


class Endpoint(NamedTuple, Generic[Value]):
    """A line of a table. methods: those it is for, compared exactly; None = all; empty = none at all."""

    pattern: Pattern
    methods: Collection[str] | None
    value: Value


class EndpointTable(Generic[Value]):
    """Endpoints in order. `find` gives the value of the first that matches, or `default`."""

    __slots__ = ("_by_method", "_default", "_found", "_others")

    def __init__(self, endpoints: Iterable[Endpoint[Value]], default: Value) -> None:
        endpoints = list(endpoints)
        self._default = default
        named = {method for endpoint in endpoints for method in endpoint.methods or ()}
        self._others = _part(endpoints, None)
        self._found: Remembered[tuple[str, str], Value] = Remembered(*REMEMBERED)
        self._by_method = {method: _part(endpoints, method) for method in named}

    def find(self, method: str, relative: str) -> Value:
        """Return the value of the first endpoint that matches. relative: a canonical path below the listen path, with its leading slash."""
        if "%" not in relative:
            try:
                return self._found[method, relative]
            except KeyError:
                return self.find_matching(method, relative)
        return self.find_matching(method, matching_form(relative))

    def find_matching(self, method: str, path: str) -> Value:
        """As `find`, for a path that is already in its matching form (routing.paths)."""
        try:
            return self._found[method, path]
        except KeyError:
            return self._found.keep((method, path), self.look(method, path), len(path) + len(method))

    def find_any(self, method: str, relative: str) -> Value:
        """As `find`; of a path that some servers read in other ways, the first of its readings that an endpoint matches counts.

        Raises Refusal(bad-path) when a reading climbs above the root.
        """
        if "%" not in relative:
            try:
                return self._found[method, relative]
            except KeyError:
                return self.find_matching(method, relative)
        for form in matching_forms(relative):
            value = self.find_matching(method, form)
            if value is not self._default:
                return value
        return self._default

    def look(self, method: str, path: str) -> Value:
        """As `find_matching`, for a caller that remembers the answers itself."""
        part = self._by_method.get(method, self._others)
        value = self._default
        if part is not None:
            patterns, values = part
            index = patterns.first(path)
            if index >= 0:
                value = values[index]
        return value


def _part(endpoints: Sequence[Endpoint[Value]], method: str | None) -> tuple[PatternList, list[Value]] | None:
    """Return what can apply to a method; None as the method stands for every method that no endpoint names."""
    chosen = [e for e in endpoints if e.methods is None or (method is not None and method in e.methods)]
    if not chosen:
        return None
    return PatternList([endpoint.pattern for endpoint in chosen]), [endpoint.value for endpoint in chosen]
