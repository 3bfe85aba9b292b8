"""Reads what records of requests add up to, by hour, day or month, and the records themselves.

What is asked for is whole days. Months that are wholly asked for have rows of their own; parts of months are added up of days.

A page is found in two steps. How many rows each hour, day or month of the answer has is read from the index; only where the page is are
totals added up. So a page of a month by hour reads an hour or two.
"""

from __future__ import annotations

import datetime as dt
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Final, Literal

import sqlalchemy as sa

from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase
from services.gateway.analytics.rollups import (
    API,
    DAY,
    FIRST_ERROR,
    HOUR,
    HOUR_S,
    HOURS_OF_A_DAY,
    KEY,
    MONTH,
    OAUTH,
    PATH,
    hour_of,
    start_of,
)
from services.gateway.stores.analytics import ROLLUPS
from services.gateway.stores.callers import OfCallers
from services.gateway.stores.records import Looked, newest

Resolution = Literal["hour", "day", "month"]
MOST_AT_ONCE: Final = 10_000
_R: Final = ROLLUPS.c
_GRAINS: Final[dict[Resolution, int]] = {"hour": HOUR, "day": DAY, "month": MONTH}


@dataclass(frozen=True, slots=True)
class View:
    """What is counted, and by what. by: columns of the table of roll-ups."""

    kind: int
    by: tuple[str, ...]
    errors_only: bool = False


APIS: Final = View(API, ("api_id",))
VERSIONS: Final = View(API, ("api_id", "version"))
CODES: Final = View(API, ("code",))
ERRORS: Final = View(API, ("code",), errors_only=True)
KEYS: Final = View(KEY, ("item",))
APIS_OF_KEY: Final = View(KEY, ("api_id", "version", "item"))
ENDPOINTS: Final = View(PATH, ("api_id", "item"))
CLIENTS: Final = View(OAUTH, ("api_id", "item"))


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, `until` is the last one."""

    since: dt.date
    until: dt.date


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whose requests are wanted. item: a key, a path or a client, as of the view. None: any."""

    api_id: str | None = None
    item: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """start: of the hour, day or month. by: column → value. request_ms: all together. last_hit: of the latest request."""

    start: dt.datetime
    by: dict[str, Any]
    hits: int
    success: int
    error: int
    request_ms: float
    last_hit: dt.datetime
    name: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """first, end: in hours of the epoch; `end` is not asked for any more."""

    view: View
    resolution: Resolution
    chosen: Chosen
    first: int
    end: int

    def between(self, start: int, last: int) -> _Asked:
        """Return the part from the beginning of one hour, day or month of the answer to the end of another."""
        return replace(self, first=max(self.first, start), end=min(self.end, start_of(_GRAINS[self.resolution], last)[1]))


class ActivityStore(OfCallers):
    """Thread-safe. recording: whether requests are recorded now."""

    def __init__(self, database: CoreDatabase, *, recording: bool, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self.recording = recording

    def page(
        self, view: View, period: Period, resolution: Resolution, chosen: Chosen, number: int = 0, size: int = 10
    ) -> tuple[list[Counted], int]:
        """Return one page, in the order of time and then of hits, and the number of all. number: from zero, negative = everything, or
        nothing when that is more than 10,000.
        """
        asked = _Asked(view, resolution, chosen, hour_of(period.since), hour_of(period.until) + HOURS_OF_A_DAY)
        with self._database.read() as connection:
            sizes = connection.execute(self._sizes(asked)).all()
            after = list(accumulate(count for _, count in sizes))
            total = after[-1] if sizes else 0
            begin, end = (0, total) if number < 0 else (number * size, min((number + 1) * size, total))
            if begin >= end or (number < 0 and total > MOST_AT_ONCE):
                return [], total
            first, last = bisect_right(after, begin), bisect_right(after, end - 1)
            here = asked.between(sizes[first].start, sizes[last].start)
            skipped = begin - (after[first] - sizes[first].count)
            rows = connection.execute(self._totals(here).limit(end - begin).offset(skipped)).all()
        return _counted(rows, view), total

    def _sizes(self, asked: _Asked) -> sa.Select[Any]:
        """Return the question how many rows of the answer belong to each hour, day or month. The index alone answers it."""
        groups = (_R[name] for name in asked.view.by)
        each = sa.select(_bucket(asked).label("start"), *groups).where(*self._meant(asked)).distinct().subquery()
        return sa.select(each.c.start, sa.func.count().label("count")).group_by(each.c.start).order_by(each.c.start)

    def _totals(self, asked: _Asked) -> sa.Select[Any]:
        start = _bucket(asked).label("start")
        groups = [_R[name] for name in asked.view.by]
        hits = sa.func.sum(_R.hits)
        return (
            sa.select(
                start,
                *groups,
                # PostgreSQL's sum of a BIGINT is a NUMERIC, which the driver reads three times slower
                *(sa.cast(sa.func.sum(_R[name]), sa.BigInteger).label(name) for name in ("hits", "success", "error", "request_us")),
                sa.func.max(_R.last_hit).label("last_hit"),
                sa.func.max(_R.name).label("name"),
            )
            .where(*self._meant(asked))
            .group_by(start, *groups)
            .order_by(start, hits.desc(), *groups)
        )

    def _meant(self, asked: _Asked) -> list[sa.ColumnElement[bool]]:
        # the number itself: an index for some kinds is not used for a value that comes later
        kind = _R.kind == sa.literal_column(str(asked.view.kind))
        meant = [kind, self._times(asked), self._caller.owns(_R.org_id)]
        if asked.chosen.api_id is not None:
            meant.append(_R.api_id == asked.chosen.api_id)
        if asked.chosen.item is not None:
            meant.append(_R.item == asked.chosen.item)
        if asked.view.errors_only:
            meant.append(_R.code >= FIRST_ERROR)
        return meant

    def _times(self, asked: _Asked) -> sa.ColumnElement[bool]:
        """Return the condition for rows of this period. A month that is not over is whole when its last days are still to come."""
        first, end = asked.first, asked.end
        between = _each if asked.chosen.api_id is not None and asked.chosen.item is None else _between
        if asked.resolution != "month":
            return between(_GRAINS[asked.resolution], first, end)
        whole_first, after_first = start_of(MONTH, first)
        if whole_first < first:
            whole_first = after_first
        whole_end, after_end = start_of(MONTH, end)
        if whole_end < end and end > hour_of(self._clock.now().date()):
            whole_end = after_end
        if whole_first >= whole_end:
            return between(DAY, first, end)
        parts = [between(MONTH, whole_first, whole_end)]
        parts += [between(DAY, since, until) for since, until in ((first, whole_first), (whole_end, end)) if since < until]
        return sa.or_(*parts)

    def records(
        self,
        since: dt.datetime,
        until: dt.datetime,
        *,
        api_id: str | None = None,
        key_id: str | None = None,
        errors_only: bool = False,
        number: int = 0,
        size: int = 10,
    ) -> tuple[list[dict[str, Any]], bool]:
        """Return one page of records, the newest first, and whether there are more. number: from zero."""
        looked = Looked(_milliseconds(since), _milliseconds(until), self._caller, api_id, key_id, errors_only)
        with self._database.read() as connection:
            rows = newest(connection, looked, number * size, size + 1)
        return [_record(row._mapping) for row in rows[:size]], len(rows) > size


def _bucket(asked: _Asked) -> sa.ColumnElement[Any]:
    """Return the beginning of what a row counts in, in hours of the epoch."""
    if asked.resolution != "month":
        return _R.start
    months: list[tuple[sa.ColumnElement[bool], sa.ColumnElement[int]]] = [
        (_R.start < start_of(MONTH, begin)[1], sa.literal_column(str(begin))) for begin in _starts(MONTH, asked.first, asked.end)
    ]
    return sa.case(*months)


def _starts(grain: int, first: int, end: int) -> Iterator[int]:
    """Yield the beginnings of the hours, days or months from that of `first` on."""
    begin = start_of(grain, first)[0]
    while begin < end:
        yield begin
        begin = start_of(grain, begin)[1]


def _between(grain: int, first: int, end: int) -> sa.ColumnElement[bool]:
    return sa.and_(_R.grain == grain, _R.start >= first, _R.start < end)


def _each(grain: int, first: int, end: int) -> sa.ColumnElement[bool]:
    """Return the same as `_between`, for one API: the index has all others between two of its hours, and is asked for each by itself."""
    return sa.and_(
        _R.grain == grain, _R.start.in_(sa.bindparam(None, list(_starts(grain, first, end)), expanding=True, literal_execute=True))
    )


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def _counted(rows: Sequence[Any], view: View) -> list[Counted]:
    """Return rows as they are shown; there may be 10,000 of them, of a few moments."""
    by = view.by
    moments = {start: dt.datetime.fromtimestamp(start * HOUR_S, dt.UTC) for start in {row[0] for row in rows}}
    return [
        Counted(moments[start], dict(zip(by, told, strict=False)), hits, success, error, request_us / 1000, _moment(last_hit), name)
        for start, *told, hits, success, error, request_us, last_hit, name in rows
    ]


def _record(row: Any) -> dict[str, Any]:
    """Return a row with its moments and tags read."""
    return {
        **row,
        "at": _moment(row["at"]),
        "expires": dt.datetime.fromtimestamp(row["expires"], dt.UTC),
        "tags": json.loads(row["tags"]),
    }
