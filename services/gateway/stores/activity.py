"""Reads what records of requests add up to, by hour, day or month, and the records themselves.

What is asked for is whole days. Months that are wholly asked for have rows of their own; parts of months are added up of days.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa

from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase
from services.gateway.analytics.rollups import API, DAY, FIRST_ERROR, HOUR, HOURS_OF_A_DAY, KEY, MONTH, OAUTH, PATH, hour_of, start_of
from services.gateway.stores.analytics import RECORDS, ROLLUPS
from services.gateway.stores.callers import OfCallers

Resolution = Literal["hour", "day", "month"]
MOST_AT_ONCE: Final = 10_000
_R: Final = ROLLUPS.c


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


class ActivityStore(OfCallers):
    """Thread-safe. recording: whether requests are recorded now."""

    def __init__(self, database: CoreDatabase, *, recording: bool, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self.recording = recording

    def page(
        self, view: View, period: Period, resolution: Resolution, chosen: Chosen, number: int = 0, size: int = 10
    ) -> tuple[list[Counted], int]:
        """Return one page, in the order of time and then of hits, and the number of all. number: from zero, negative = everything, of which
        at most 10,000 are returned.
        """
        start = _bucket(period, resolution)
        groups = [_R[name] for name in view.by]
        hits = sa.func.sum(_R.hits)
        counted = (
            sa.select(
                start.label("start"),
                *groups,
                hits.label("hits"),
                *(sa.func.sum(_R[name]).label(name) for name in ("success", "error", "request_us")),
                sa.func.max(_R.last_hit).label("last_hit"),
                sa.func.max(_R.name).label("name"),
                sa.func.count().over().label("total"),
            )
            .where(*self._meant(view, period, resolution, chosen))
            .group_by(start, *groups)
            .order_by(start, hits.desc(), *groups)
        )
        limited = counted.limit(MOST_AT_ONCE) if number < 0 else counted.limit(size).offset(number * size)
        with self._database.read() as connection:
            rows = connection.execute(limited).all()
            if not rows and number > 0:  # behind the last page
                first = connection.execute(counted.limit(1)).first()
                return [], first.total if first else 0
        return [_counted(row, view) for row in rows], rows[0].total if rows else 0

    def _meant(self, view: View, period: Period, resolution: Resolution, chosen: Chosen) -> list[sa.ColumnElement[bool]]:
        meant = [_R.kind == view.kind, self._times(period, resolution), self._caller.owns(_R.org_id)]
        if chosen.api_id is not None:
            meant.append(_R.api_id == chosen.api_id)
        if chosen.item is not None:
            meant.append(_R.item == chosen.item)
        if view.errors_only:
            meant.append(_R.code >= FIRST_ERROR)
        return meant

    def _times(self, period: Period, resolution: Resolution) -> sa.ColumnElement[bool]:
        """Return the condition for rows of this period. A month that is not over is whole when its last days are still to come."""
        first, end = hour_of(period.since), hour_of(period.until) + HOURS_OF_A_DAY
        if resolution != "month":
            return _between(HOUR if resolution == "hour" else DAY, first, end)
        whole_first, after_first = start_of(MONTH, first)
        if whole_first < first:
            whole_first = after_first
        whole_end, after_end = start_of(MONTH, end)
        if whole_end < end and period.until >= self._clock.now().date():
            whole_end = after_end
        if whole_first >= whole_end:
            return _between(DAY, first, end)
        parts = [_between(MONTH, whole_first, whole_end)]
        parts += [_between(DAY, since, until) for since, until in ((first, whole_first), (whole_end, end)) if since < until]
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
        columns = RECORDS.c
        meant = [columns.at >= _milliseconds(since), columns.at < _milliseconds(until), self._caller.owns(columns.org_id)]
        meant += [column == value for column, value in ((columns.api_id, api_id), (columns.key_id, key_id)) if value is not None]
        if errors_only:
            meant.append(columns.code >= FIRST_ERROR)
        newest = sa.select(RECORDS).where(*meant).order_by(columns.at.desc(), columns.id.desc())
        with self._database.read() as connection:
            rows = connection.execute(newest.limit(size + 1).offset(number * size)).all()
        return [_record(row._mapping) for row in rows[:size]], len(rows) > size


def _bucket(period: Period, resolution: Resolution) -> sa.ColumnElement[Any]:
    """Return the beginning of what a row counts in, in hours of the epoch."""
    if resolution != "month":
        return _R.start
    months: list[tuple[sa.ColumnElement[bool], sa.ColumnElement[int]]] = []
    begin = period.since.replace(day=1)
    while begin <= period.until:
        following = (begin + dt.timedelta(days=32)).replace(day=1)
        months.append((_R.start < hour_of(following), sa.literal_column(str(hour_of(begin)))))
        begin = following
    return sa.case(*months)


def _between(grain: int, first: int, end: int) -> sa.ColumnElement[bool]:
    return sa.and_(_R.grain == grain, _R.start >= first, _R.start < end)


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def _counted(row: Any, view: View) -> Counted:
    return Counted(
        start=dt.datetime.fromtimestamp(row.start * 3600, dt.UTC),
        by={name: getattr(row, name) for name in view.by},
        hits=int(row.hits),
        success=int(row.success),
        error=int(row.error),
        request_ms=int(row.request_us) / 1000,
        last_hit=_moment(row.last_hit),
        name=row.name,
    )


def _record(row: Any) -> dict[str, Any]:
    """Return a row with its moments and tags read."""
    return {
        **row,
        "at": _moment(row["at"]),
        "expires": dt.datetime.fromtimestamp(row["expires"], dt.UTC),
        "tags": json.loads(row["tags"]),
    }
