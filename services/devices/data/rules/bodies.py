"""The body of a request that brings records, on the shortest way that its content allows.

What devices send all day is decoded by msgspec right into the fields of a record, each of a type that a record may have, and then checked
by column: that costs a third of a check record by record. All that is not of these types, or that a check refuses, goes the long way
through `records`, which alone decides what is wrong and how that is told. What both ways accept is the same on both; a test compares them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from services.devices.data.rules import fields, records
from services.devices.data.rules.records import Columns, Records

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_read_iso: Final = dt.datetime.fromisoformat


class _Sent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A record as it is sent. A field that it does not have is not decoded, so nobody would look whether it is JSON."""

    variable: str
    value: int | float | str | bool | None = None
    time: int | float | str | None = None
    unit: str | None = None
    group: str | None = None
    serie: str | None = None
    location: Any = None
    metadata: Any = None


_decode: Final = msgspec.json.Decoder(list[_Sent] | _Sent).decode


class Body:
    """A body that was decoded, and whose records were not checked."""

    __slots__ = ("_content", "_parsed", "_sent")

    def __init__(self, content: bytes) -> None:
        """Decode it. Raises Refusal 400, as `records.parse`."""
        self._content = content
        self._sent: Sequence[_Sent] = ()
        self._parsed: Any = None
        try:
            sent = _decode(content)
        except (ValueError, RecursionError):  # msgspec's own are ValueErrors
            self._parsed = records.parse(content)
        else:
            self._sent = [sent] if isinstance(sent, _Sent) else sent

    def read(self, now: dt.datetime, group: str) -> Records:
        """Check the records, as `records.read`."""
        if self._sent:
            try:
                return Records(_columns(self._sent, fields.milliseconds(now), group))
            except (ValueError, TypeError):
                self._parsed = records.parse(self._content)
        return records.read(self._parsed, now, group)


def _columns(sent: Sequence[_Sent], arrival: int, group: str) -> Columns:
    """Check records by column. Raises ValueError, or TypeError, for what the long way must look at."""
    numbers, values = _values([one.value for one in sent])
    return Columns(
        records.names([one.variable for one in sent]),
        _times([one.time for one in sent], arrival),
        numbers,
        values,
        _texts([one.unit for one in sent], fields.unit),
        _groups(sent, group),
        _optional([one.location for one in sent], fields.location),
        _optional([one.metadata for one in sent], fields.metadata),
    )


def _values(raw: list[Any]) -> tuple[Sequence[float | None], Sequence[str | None]]:
    """The numbers and the JSON texts, see `fields.value`."""
    kinds = set(map(type, raw))
    if kinds == {float}:
        return raw, [None] * len(raw)
    if kinds <= {int, float} and min(raw) >= -fields.EXACT and max(raw) <= fields.EXACT:
        return list(map(float, raw)), [None] * len(raw)
    numbers, values = zip(*map(fields.value, raw), strict=True)
    return numbers, values


def _times(raw: list[Any], arrival: int) -> list[int]:
    """Milliseconds since 1970, see `fields.time`. arrival: of records that name no time."""
    try:
        times = [
            (since := _read_iso(text) - _EPOCH).days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000 for text in raw
        ]  # as `fields.milliseconds`
    except (ValueError, TypeError):  # some are numbers, or name no zone
        return [arrival if one is None else fields.time(one) for one in raw]
    fields.check_range(min(times), max(times))
    return times


def _groups(sent: Sequence[_Sent], generated: str) -> Sequence[str]:
    raw = [one.serie if one.group is None else one.group for one in sent]
    return [one or generated for one in _texts(raw, fields.group)]


def _texts(raw: list[str | None], check: Callable[[str], str]) -> list[str | None]:
    """Check texts, of which most are the same."""
    for text in set(raw):
        if text is not None:
            check(text)
    return raw


def _optional(raw: list[Any], check: Callable[[Any], str]) -> Sequence[str | None]:
    if raw.count(None) == len(raw):
        return raw
    return [None if one is None else check(one) for one in raw]
