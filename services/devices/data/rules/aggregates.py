"""Aggregates over units of time: minutes, hours, days and weeks (from Monday), months, quarters and years, all of UTC.

The store counts by units of one length; months, quarters and years are put together here from days.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from services.devices.data.rules import times

FUNCTIONS: Final = ("avg", "sum", "min", "max", "count")
_LENGTHS_MS: Final = {"minute": 60_000, "hour": 3_600_000, "day": times.DAY_MS, "week": 7 * times.DAY_MS}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
INTERVALS: Final = (*_LENGTHS_MS, *_MONTHS)
# where the store's units begin to count: all of them begin there, and no record is older, so that a division never rounds up
ORIGIN: Final = times.EARLIEST


class Summary(NamedTuple):
    """Numbers of one unit: how many, their sum, the least and the greatest, as far as a function needs them.

    unit: counted from ORIGIN in units of `length`. Of an average that the store made, `numbers` is 1 and `sum` the average.
    """

    unit: int
    numbers: int
    sum: float
    min: float
    max: float


def length(interval: str) -> int:
    """Return the length in milliseconds of the units that the store counts by for this interval."""
    return _LENGTHS_MS.get(interval, times.DAY_MS)


def units_of(interval: str, most: int) -> int:
    """Return how many of the store's units at most make `most` intervals."""
    return most if interval in _LENGTHS_MS else most * 31 * _MONTHS[interval]


def of_store(interval: str, function: str) -> str:
    """Return what the store adds up: the function itself, or `parts`, of which an average of several units is made."""
    return "parts" if function == "avg" and interval not in _LENGTHS_MS else function


def points(found: Iterable[Summary], interval: str, function: str) -> list[tuple[int, float]]:
    """Return the begin and the value of each interval that has numbers. found: in order of time, either way; so is what comes back."""
    put_together: list[tuple[int, Summary]] = []
    for one in found:
        begins = _begin(one.unit, interval)
        if put_together and put_together[-1][0] == begins:
            put_together[-1] = (begins, _together(put_together[-1][1], one))
        else:
            put_together.append((begins, one))
    return [(begins, value(one, function)) for begins, one in put_together]


def value(one: Summary, function: str) -> float:
    """Return what the function makes of the numbers; there is at least one."""
    match function:
        case "avg":
            return one.sum / one.numbers
        case "sum":
            return one.sum
        case "min":
            return one.min
        case "max":
            return one.max
    return float(one.numbers)


def _begin(unit: int, interval: str) -> int:
    begins = ORIGIN + unit * length(interval)
    if interval in _LENGTHS_MS:
        return begins
    day = times.moment(begins)
    month = day.month - (day.month - 1) % _MONTHS[interval]
    return times.of(day.replace(month=month, day=1))


def _together(one: Summary, other: Summary) -> Summary:
    return Summary(one.unit, one.numbers + other.numbers, one.sum + other.sum, min(one.min, other.min), max(one.max, other.max))
