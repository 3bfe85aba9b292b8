"""Which records a query chooses, out of the store and in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.devices.access import DeviceRef
from services.devices.data.rules import chunks, queries, shown
from services.devices.data.rules.cursors import LAST_SEQ, Place
from services.devices.data.rules.cursors import write as write_cursor
from services.devices.data.rules.merging import Merge, Row
from services.devices.data.rules.queries import Query
from services.devices.data.store import reading
from services.devices.data.store.reading import TooSlow
from services.devices.data.store.statements import By, Conditions, Holding, Source

LONGEST_S: Final = 8.0  # of reading for one answer; a statement has less
AT_ONCE: Final = 2000  # records of one statement; each has up to 16 kB
_MANY: Final = 200  # variables: a device that has more is read as a whole, not variable by variable
_PORTION: Final = 1000  # variables of one statement
MOST_OF_EACH: Final = 32_000_000  # characters of values and metadata, of one record of each variable


@dataclass(slots=True)
class Chosen:
    """The records that a query chooses, some at a time. limited, cursor: known when all have been taken. stop: ends a list early."""

    rows: Iterator[list[Row]]
    stop: Callable[[], None] = lambda: None
    limited: bool = False
    cursor: str | None = None

    def all(self) -> list[Row]:
        """Take all records."""
        return [row for some in self.rows for row in some]


def source(device: DeviceRef, query: Query, data_no: int, clock: Clock) -> Source:
    """Return where the records are that a query may take in. data_no: the device's, as it is now."""
    if device.type != "immutable" or device.chunk_period is None or device.chunk_retention is None:
        return Source(False, data_no, 0, query.start, query.end)
    kept = chunks.kept(device.chunk_period, device.chunk_retention, clock.now())
    number = chunks.retention_class(device.chunk_period, device.chunk_retention)
    return Source(True, data_no, number, max(query.start, kept.starts), min(query.end, kept.ends - 1))


def conditions(device: DeviceRef, query: Query) -> Conditions:
    """Return what the records must be."""
    seqs = None
    if query.ids is not None:
        seqs = tuple(seq for text in query.ids if (seq := shown.read_id(device.no, text)) is not None)
    holding: Holding | None = None
    if query.kind in queries.EXTREMES:
        holding = "number"
    elif query.kind.endswith("_value"):
        holding = "value"
    elif query.kind.endswith("_location"):
        holding = "location"
    return Conditions(query.groups, query.values, seqs, holding, query.compare)


def choose(session: Session, query: Query, found: Source, wanted: Conditions, numbers: Sequence[int], clock: Clock) -> Chosen:
    """Choose the records of a query that is answered by records. numbers: of the variables. Raises TooSlow when they are taken."""
    if not numbers or found.low > found.high or (query.qty == 0 and query.kind in queries.LISTS):
        return Chosen(iter(()))
    if query.kind not in queries.LISTS:
        return _one_of_each(session, query, found, wanted, numbers)
    place = query.places()
    first = _first(found, ascending=query.ascending)
    if query.variables is None:
        start = place if isinstance(place, tuple) else first
        if len(numbers) > _MANY:
            return _of_device(session, query, found, wanted, start)
        return _list(session, query, found, wanted, dict.fromkeys(numbers, start), clock)
    starts = {number: place[number] for number in numbers if number in place} if isinstance(place, dict) else dict.fromkeys(numbers, first)
    return _list(session, query, found, wanted, starts, clock)


def _first(found: Source, *, ascending: bool) -> Place:
    """The place before all records."""
    return (found.low, -1) if ascending else (found.high, LAST_SEQ)


def _list(session: Session, query: Query, found: Source, wanted: Conditions, starts: Mapping[int, Place], clock: Clock) -> Chosen:
    """The records of a list: `qty` of each named variable, or `qty` of all together."""
    named = query.variables is not None
    skips = iter([query.skip if named else 0])
    ends = clock.monotonic() + LONGEST_S

    def read(places: Mapping[int, Place], count: int) -> Mapping[int, list[Row]]:
        if clock.monotonic() > ends:
            raise TooSlow
        return reading.each(session, found, places, wanted, count, ascending=query.ascending, skip=next(skips, 0))

    merge = Merge(
        read,
        starts,
        each=query.qty if named else None,
        total=queries.MOST if named else query.qty,
        skip=0 if named else query.skip,
        ascending=query.ascending,
        at_once=AT_ONCE,
    )
    chosen = Chosen(iter(()), merge.stop)

    def rows() -> Iterator[list[Row]]:
        last: Place = (0, 0)
        for some in merge.rows():
            last = some[-1].time, some[-1].seq
            yield some
        if not named:
            chosen.cursor = write_cursor(query.shape, last) if merge.limited else None
        elif rest := merge.rest():
            chosen.limited = merge.limited
            chosen.cursor = write_cursor(query.shape, rest)

    chosen.rows = rows()
    return chosen


def _of_device(session: Session, query: Query, found: Source, wanted: Conditions, start: Place) -> Chosen:
    """The records of a list of a device that has many variables."""
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True

    chosen = Chosen(iter(()), stop)

    def rows() -> Iterator[list[Row]]:
        place, left, skip = start, query.qty, query.skip
        while left and not stopped:
            count = min(left, AT_ONCE)
            some = reading.of_device(session, found, place, wanted, count + 1, ascending=query.ascending, skip=skip)
            yield some[:count]
            if len(some) <= count:
                return
            place, left, skip = (some[count - 1].time, some[count - 1].seq), left - count, 0
        chosen.cursor = write_cursor(query.shape, place)

    chosen.rows = rows()
    return chosen


def _one_of_each(session: Session, query: Query, found: Source, wanted: Conditions, numbers: Sequence[int]) -> Chosen:
    """The first, the last, the least or the greatest record of each variable, in the order of a list."""
    by: By = "time"
    if query.kind in queries.EXTREMES:
        by = "least" if query.kind == "min" else "greatest"
    elif query.kind.endswith("_insert"):
        by = "seq"
    ascending = query.kind.startswith("first_")
    start = _first(found, ascending=ascending)
    rows: list[Row] = []
    size = 0
    for begin in range(0, len(numbers), _PORTION):
        starts = dict.fromkeys(numbers[begin : begin + _PORTION], start)
        for some in reading.each(session, found, starts, wanted, 1, by=by, ascending=ascending).values():
            rows += some
            size += sum(len(row.value or "") + len(row.metadata or "") for row in some)
        if size > MOST_OF_EACH:
            raise TooSlow
    rows.sort(key=lambda row: (row.time, row.seq), reverse=not query.ascending)
    return Chosen(iter([rows[: queries.MOST]]), limited=len(rows) > queries.MOST)
