"""Put the records of several variables into one order, reading no more of each than is needed.

Each variable is read in its own order from a place on, a few hundred records at a time. What comes before the end of every slice is
complete: no later slice holds anything that belongs there.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from services.devices.data.rules.cursors import Place

_LEAST: Final = 8  # of one variable


class Row(NamedTuple):
    """A record as the store keeps it; see `Record`. created_at: milliseconds since 1970, UTC."""

    variable_no: int
    time: int
    seq: int
    number: float | None
    value: str | None
    unit: str | None
    group: str | None
    location: str | None
    metadata: str | None
    created_at: int


# (after which place by variable, how many of each) → what was found, in order
Read = Callable[[Mapping[int, Place], int], Mapping[int, Sequence[Row]]]


class Merge:
    """The records of some variables in one order: up to `each` of every variable and up to `total` of all, after the first `skip`.

    starts: after which place of each variable. each: None when only the total counts. at_once: records that are read together. After `rows`
    has ended, `limited` says that the total, or `stop`, cut it short, and `rest` where it would go on.
    """

    def __init__(
        self,
        read: Read,
        starts: Mapping[int, Place],
        *,
        each: int | None,
        total: int,
        skip: int = 0,
        ascending: bool = False,
        at_once: int,
    ) -> None:
        self._read = read
        self._ascending = ascending
        self._each = each
        self._total = total
        self._skip = skip
        self._at_once = at_once
        self._places = dict(starts)  # the last record of each that was given out
        self._ahead: dict[int, list[Row]] = {number: [] for number in starts}  # read, and not given out
        self._read_to = dict(starts)
        self._unended = set(starts)  # of which the store may have more
        self._given = dict.fromkeys(starts, 0)
        self._full: set[int] = set()  # of which `each` were given out, and there are more
        self._cut: set[int] = set()  # of which some were read, and left out at the end
        self._stopped = False
        self.limited = False

    def rows(self) -> Iterator[list[Row]]:
        """Give the records out, some at a time."""
        left = self._total
        while ready := self._next():
            if self._skip:
                ready, self._skip = ready[self._skip :], max(0, self._skip - len(ready))
            if self._each is not None:
                ready = self._within_each(ready)
            if len(ready) > left:
                self.limited = True
                self._cut = {row.variable_no for row in ready[left:]}
                ready = ready[:left]
            left -= len(ready)
            for row in ready:
                self._places[row.variable_no] = (row.time, row.seq)
            if ready:
                yield ready
            if self._stopped and not self.limited:
                self.limited = bool(self._unended) or any(self._ahead.values())
                return
            if self.limited:
                return

    def stop(self) -> None:
        """Give out no more than what was given out, as if the total had been reached."""
        self._stopped = True

    def rest(self) -> dict[int, Place]:
        """Return after which record the list goes on, for each variable that may have more."""
        more = set(self._full)
        if self.limited:
            more |= self._unended | self._cut | {number for number, rows in self._ahead.items() if rows}
        return {number: place for number, place in self._places.items() if number in more}

    def _within_each(self, rows: list[Row]) -> list[Row]:
        """Leave out what is more than `each`; of a variable that has as many nothing more is read."""
        assert self._each is not None
        kept = []
        for row in rows:
            number = row.variable_no
            if self._given[number] < self._each:
                self._given[number] += 1
                kept.append(row)
            elif number not in self._full:
                self._full.add(number)
                self._unended.discard(number)
                self._ahead[number] = []
        return kept

    def _next(self) -> list[Row]:
        """The next records of the order; none when there are no more."""
        self._fill()
        held = [row for rows in self._ahead.values() for row in rows]
        if not held:
            return []
        held.sort(key=_place, reverse=not self._ascending)
        ends = [self._read_to[number] for number in self._unended]
        if not ends:
            ready, kept = held, []
        elif self._ascending:
            end = min(ends)
            ready, kept = [row for row in held if _place(row) <= end], [row for row in held if _place(row) > end]
        else:
            end = max(ends)
            ready, kept = [row for row in held if _place(row) >= end], [row for row in held if _place(row) < end]
        for number in self._ahead:
            self._ahead[number] = []
        for row in kept:
            self._ahead[row.variable_no].append(row)
        return ready

    def _fill(self) -> None:
        """Read on where little is left, until no variable that may have more is without a record."""
        hungry = [number for number in self._unended if not self._ahead[number]]
        if not hungry:
            return
        count = self._slice()
        wanting = {number: self._read_to[number] for number in self._unended if len(self._ahead[number]) <= count // 2}
        found = self._read(wanting, count)
        for number in wanting:
            rows = found.get(number, ())
            self._ahead[number].extend(rows)
            if rows:
                self._read_to[number] = _place(rows[-1])
            if len(rows) < count:
                self._unended.discard(number)

    def _slice(self) -> int:
        """How many of each variable are read next: one more than wanted, which tells whether there are more."""
        several = len(self._unended)
        if self._each is not None:
            return min(self._each + 1, max(_LEAST, self._at_once // several))
        share = math.ceil((self._skip + self._total) / several * 1.25) + _LEAST if several > 1 else self._skip + self._total + 1
        return max(_LEAST, min(share, self._at_once // several))


_place: Callable[[Row], Place] = operator.itemgetter(1, 2)  # time and seq
