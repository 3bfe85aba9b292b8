"""Finds the newest records of requests: of everybody, or of an API, a key, an organisation, or those that failed.

Records have an index by time alone: others would cost each request more than the whole record. Who asks for a key that is seldom used would
read millions of others'. Therefore the roll-ups say in which hours there is something, and only these are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from services.gateway.analytics.rollups import API, FIRST_ERROR, HOUR, HOUR_MS, KEY, OTHER
from services.gateway.stores.analytics import RECORDS, ROLLUPS
from services.gateway.stores.callers import Caller

_C: Final = RECORDS.c
_R: Final = ROLLUPS.c


@dataclass(frozen=True, slots=True)
class Looked:
    """Which records are looked for. since, until: milliseconds, `until` is not in it. None: any."""

    since: int
    until: int
    caller: Caller
    api_id: str | None = None
    key_id: str | None = None
    errors_only: bool = False

    @property
    def chosen(self) -> bool:
        return bool(self.caller.org_id or self.errors_only or self.api_id is not None or self.key_id is not None)


def newest(connection: sa.Connection, looked: Looked, skipped: int, wanted: int) -> list[Any]:
    """Return rows, the newest first. skipped: so many are left out. wanted: at most so many are returned."""
    meant = [looked.caller.owns(_C.org_id)]
    meant += [column == value for column, value in ((_C.api_id, looked.api_id), (_C.key_id, looked.key_id)) if value is not None]
    if looked.errors_only:
        meant.append(_C.code >= FIRST_ERROR)
    found: list[Any] = []
    for first, end in _spans(connection, looked) if looked.chosen else [(looked.since, looked.until)]:
        here = (_C.at >= first, _C.at < end, *meant)
        rows = sa.select(RECORDS).where(*here).order_by(_C.at.desc(), _C.id.desc())
        some = connection.execute(rows.limit(wanted - len(found)).offset(skipped)).all()
        found += some
        if len(found) == wanted:
            break
        if some:
            skipped = 0
        elif skipped:
            skipped -= connection.scalar(sa.select(sa.func.count()).select_from(RECORDS).where(*here)) or 0
    return found


def _spans(connection: sa.Connection, looked: Looked) -> Iterator[tuple[int, int]]:
    """Yield from when to when there are records, the latest first; at most an hour each."""
    of_key = looked.key_id is not None
    meant = [
        _R.kind == sa.literal_column(str(KEY if of_key else API)),
        _R.grain == HOUR,
        _R.start >= looked.since // HOUR_MS,
        _R.start <= (looked.until - 1) // HOUR_MS,
        looked.caller.owns(_R.org_id),
    ]
    if of_key:
        meant.append(_R.item.in_((looked.key_id, OTHER)))
    if looked.api_id is not None:
        meant.append(_R.api_id == looked.api_id)
    if looked.errors_only:
        meant.append(_R.error > 0)
    others = sa.func.max(sa.case((_R.item == OTHER, 1), else_=0))
    hours = sa.select(_R.start, sa.cast(sa.func.sum(_R.hits), sa.BigInteger), sa.func.max(_R.last_hit), others)
    for start, hits, last, among_others in connection.execute(hours.where(*meant).group_by(_R.start).order_by(_R.start.desc())).all():
        first, end = start * HOUR_MS, (start + 1) * HOUR_MS
        if not among_others:
            first, end = last if hits == 1 else first, last + 1
        first, end = max(first, looked.since), min(end, looked.until)
        if first < end:
            yield first, end
