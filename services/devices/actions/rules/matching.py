"""The records of one request, prepared for many conditions.

An account may have thousands of conditions on one variable, and a request thousands of records of it. So no condition looks at every
record: the values of a variable are sorted once, and a condition finds where its own begin and end.
"""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from services.devices.actions.rules.conditions import Condition, Record, Value, converted, value_of

Span = tuple[int, int]  # a stretch of a sorted list: its first index, and the one behind its last


class Sent:
    """The records of one request. Nothing is read or sorted before a condition asks for it."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    @functools.cached_property
    def _values(self) -> dict[str, _Values]:
        places: dict[str, list[int]] = {}
        for place, record in enumerate(self._records):
            places.setdefault(record.variable, []).append(place)
        return {variable: _Values(self._records, found) for variable, found in places.items()}

    @property
    def variables(self) -> Iterable[str]:
        """The variables that there are records of."""
        return self._values.keys()

    def matches(self, condition: Condition) -> bool:
        """Say whether a record matches the condition; whether it watches this device is not looked at."""
        values = self._values.get(condition.variable)
        return values is not None and (condition.is_ == "*" or bool(values.spans(condition)))

    def matching(self, conditions: Iterable[Condition]) -> list[int]:
        """Return the places of the records that match one of the conditions, in order."""
        wanted: dict[str, list[Condition]] = {}
        for condition in conditions:
            wanted.setdefault(condition.variable, []).append(condition)
        found: list[int] = []
        for variable, asked in wanted.items():
            if variable in self._values:
                found += self._values[variable].matching(asked)
        return sorted(found)


class _Values:
    """The records of one variable. places: theirs in the request."""

    def __init__(self, records: Sequence[Record], places: Sequence[int]) -> None:
        self._records = records
        self._places = places
        self._sorted: dict[str, tuple[list[Any], list[int]]] = {}

    @functools.cached_property
    def _valued(self) -> list[tuple[Value, int]]:
        """Value and place of the records that have a value."""
        found = [(value_of(self._records[place]), place) for place in self._places]
        return [(value, place) for value, place in found if value is not None]

    def matching(self, conditions: Iterable[Condition]) -> Iterable[int]:
        """Return the places of the records that match one of the conditions, each once."""
        spans: dict[str, list[Span]] = {}
        for condition in conditions:
            if condition.is_ == "*":
                return self._places
            spans.setdefault(condition.kind, []).extend(self.spans(condition))
        found = [[place for begin, end in _together(some) for place in self._by(kind)[1][begin:end]] for kind, some in spans.items()]
        return found[0] if len(found) == 1 else set().union(*found)

    def spans(self, condition: Condition) -> list[Span]:
        """Return where the values are, sorted as the condition's kind, that match it; nothing for none. Not of `*`."""
        keys, places = self._by(condition.kind)
        match condition.is_:
            case "=":
                spans = [(bisect_left(keys, condition.low), bisect_right(keys, condition.low))]
            case "!":
                spans = [(0, bisect_left(keys, condition.low)), (bisect_right(keys, condition.low), len(places))]
            case "<":
                spans = [(0, bisect_left(keys, condition.low))]
            case ">":
                spans = [(bisect_right(keys, condition.low), len(keys))]
            case _:
                spans = [(bisect_right(keys, condition.low), bisect_left(keys, condition.high))]
        return [(begin, end) for begin, end in spans if begin < end]

    def _by(self, kind: str) -> tuple[list[Any], list[int]]:
        """The values as this kind, sorted, and the places that go with them; behind these the places of values that are not of it."""
        found = self._sorted.get(kind)
        if found is None:
            read = [(converted(kind, value), place) for value, place in self._valued]
            good = sorted(pair for pair in read if pair[0] is not None)
            others = [place for value, place in read if value is None]
            found = self._sorted[kind] = [value for value, _ in good], [place for _, place in good] + others
        return found


def _together(spans: list[Span]) -> list[Span]:
    """Join stretches that overlap."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined
