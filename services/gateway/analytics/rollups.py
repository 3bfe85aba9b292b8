"""What records add up to: hits, errors and times by hour, day and month, for each question that is asked of them.

There is one kind of roll-up for each question instead of one for all, which would have nearly as many rows as there are records. Each
record counts once in the rows of `API`, `KEY` and `PATH` of its hour, of its day and of its month; in `OAUTH` when it has a client.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from services.gateway.analytics.record import Record

API: Final = 1  # by API, version and status
KEY: Final = 2  # by API, version and key
PATH: Final = 3  # by API, version and path
OAUTH: Final = 4  # by API, version and OAuth2 client
HOUR: Final = 0
DAY: Final = 1
MONTH: Final = 2
HOURS_OF_A_DAY: Final = 24
HOUR_MS: Final = 3_600_000
HOUR_S: Final = 3_600

OTHER: Final = "(other)"
FIRST_ERROR: Final = 400
_FIRST_FAULT: Final = 500
_MOST: Final = {KEY: 10_000, PATH: 500, OAUTH: 10_000}
_MOST_IN_MEMORY: Final = 100_000
_EPOCH: Final = dt.date(1970, 1, 1)


class Row(NamedTuple):
    """Where a record counts. start: of the hour, the day or the month, in hours of the epoch. code: 0 except for `API`. item: key, path or
    client.
    """

    kind: int
    grain: int
    start: int
    org_id: str
    api_id: str
    version: str
    code: int
    item: str


class Totals:
    """request_us: microseconds. last: epoch milliseconds of the latest request. expires: epoch seconds. name: of the API or of the key."""

    __slots__ = ("error", "expires", "hits", "last", "name", "request_us", "success")

    def __init__(self) -> None:
        self.hits = self.success = self.error = self.request_us = self.last = self.expires = 0
        self.name = ""


class _Alike:
    """Records that count in the same rows. latest: the last of them."""

    __slots__ = ("hits", "latest", "request_us")

    def __init__(self, first: Record) -> None:
        self.hits = self.request_us = 0
        self.latest = first


class Names:
    """The keys and paths that have rows of their own: at most 500 paths and 10,000 keys and clients of an API an hour, a day and a month.

    What comes after them counts as `(other)`, so totals stay right. Whoever tries paths that are not there takes at most half of the room.
    One for each worker, which counts for itself.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int, str], set[str]] = {}
        self._remembered = 0
        self._newest = 0

    def allowed(self, kind: int, grain: int, start: int, api_id: str, item: str, *, refused: bool = False) -> str:
        """Return the item, or `(other)`. start: as of `Row`. refused: whether the answer was 4xx."""
        if start > self._newest or (grain == HOUR and start < self._newest - HOURS_OF_A_DAY):  # the clock was set back
            self._forget(start)
        known = self._known.setdefault((kind, grain, start, api_id), set())
        if item in known or not item:
            return item
        most = _MOST[kind] // 2 if refused else _MOST[kind]
        if len(known) >= most or self._remembered >= _MOST_IN_MEMORY:
            return OTHER
        known.add(item)
        self._remembered += 1
        return item

    def _forget(self, hour: int) -> None:
        """Forget what is before the last hour, day and month, of which requests may still be waiting, and what is yet to come."""
        self._newest = hour
        oldest = {grain: start_of(grain, start_of(grain, hour)[0] - 1)[0] for grain in (HOUR, DAY, MONTH)}
        for place in [place for place in self._known if not oldest[place[1]] <= place[2] <= hour]:
            self._remembered -= len(self._known.pop(place))


@lru_cache(1000)
def start_of(grain: int, hour: int) -> tuple[int, int]:
    """Return when the hour, the day or the month of an hour starts, and when it is over; all in hours of the epoch."""
    if grain == HOUR:
        return hour, hour + 1
    if grain == DAY:
        start = hour // HOURS_OF_A_DAY * HOURS_OF_A_DAY
        return start, start + HOURS_OF_A_DAY
    first = (_EPOCH + dt.timedelta(days=hour // HOURS_OF_A_DAY)).replace(day=1)
    return hour_of(first), hour_of((first + dt.timedelta(days=32)).replace(day=1))


def hour_of(day: dt.date) -> int:
    """Return the first hour of a day, in hours of the epoch."""
    return (day - _EPOCH).days * HOURS_OF_A_DAY


def roll_up(records: Iterable[Record], names: Names) -> dict[Row, Totals]:
    """Add records up, sorted by row: workers that write the same rows lock them in one order."""
    found: dict[Row, Totals] = {}
    for (hour, keep_s, *_), alike in _grouped(records).items():
        latest = alike.latest
        for row, over, name in _rows(latest, hour, names):
            totals = found.get(row)
            if totals is None:
                totals = found[row] = Totals()
            totals.hits += alike.hits
            if latest.code >= FIRST_ERROR:
                totals.error += alike.hits
            else:
                totals.success += alike.hits
            totals.request_us += alike.request_us
            totals.expires = max(totals.expires, over * HOUR_S + keep_s)
            if latest.at >= totals.last:
                totals.last, totals.name = latest.at, name
    return dict(sorted(found.items()))


def _grouped(records: Iterable[Record]) -> dict[tuple[Any, ...], _Alike]:
    """Put together what counts in the same rows: most requests are like others. A group begins with its hour and how long it is kept."""
    found: dict[tuple[Any, ...], _Alike] = {}
    for record in records:
        at = record.at
        place = (
            at // HOUR_MS, record.expires - at // 1000, record.org_id, record.api_id, record.version, record.code,
            record.key_id, record.path, record.oauth_id,
        )  # fmt: skip
        alike = found.get(place)
        if alike is None:
            alike = found[place] = _Alike(record)
        alike.hits += 1
        alike.request_us += record.request_us
        if at >= alike.latest.at:
            alike.latest = record
    return found


def _rows(record: Record, hour: int, names: Names) -> Iterator[tuple[Row, int, str]]:
    """Yield the rows in which a record counts, when the time of each is over, and its name."""
    for grain in HOUR, DAY, MONTH:
        start, over = start_of(grain, hour)
        place = (start, record.org_id, record.api_id, record.version)
        yield Row(API, grain, *place, record.code, ""), over, record.api_name
        key = names.allowed(KEY, grain, start, record.api_id, record.key_id)
        yield Row(KEY, grain, *place, 0, key), over, record.alias if key == record.key_id else ""
        path = names.allowed(PATH, grain, start, record.api_id, record.path, refused=FIRST_ERROR <= record.code < _FIRST_FAULT)
        yield Row(PATH, grain, *place, 0, path), over, ""
        if record.oauth_id:
            yield Row(OAUTH, grain, *place, 0, names.allowed(OAUTH, grain, start, record.api_id, record.oauth_id)), over, ""
