"""Times of day and service days of GTFS, and how a record holds them. No framework."""

from __future__ import annotations

import datetime as dt
import functools
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NEVER: Final = "0000000"
_LONGEST_RANGE: Final = 3 * 366  # days over which a list of dates may become a weekly rule
_LAST_HOUR: Final = 99  # readers of a record know two digits


@functools.lru_cache(1 << 17)
def seconds(text: str) -> int | None:
    """Read `H:MM:SS` or `HH:MM:SS`, which may be 24:00:00 or later: seconds of the service day. None when it is not one."""
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and 1 <= len(part) <= 2 for part in parts):
        return None
    hours, minutes, second = map(int, parts)
    return hours * 3600 + minutes * 60 + second if minutes < 60 and second < 60 else None


def clock(second: int) -> str | None:
    """Write a time of a service day: `08:05`, `24:10:30`; None for one that is later than a record can say."""
    hours, rest = divmod(second, 3600)
    if hours > _LAST_HOUR:
        return None
    minutes, rest = divmod(rest, 60)
    return f"{hours:02d}:{minutes:02d}:{rest:02d}" if rest else f"{hours:02d}:{minutes:02d}"


def day(text: str) -> int | None:
    """Read `YYYYMMDD` as a day's number. None when there is no such day."""
    if len(text) != 8 or not (text.isascii() and text.isdecimal()):
        return None
    try:
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:])).toordinal()
    except ValueError:
        return None


def _written(number: int) -> str:
    found = dt.date.fromordinal(number)
    return f"{found.year:04d}{found.month:02d}{found.day:02d}"


@dataclass(slots=True)
class Service:
    """When trips run. days: seven of `0` and `1`, Monday first, between first and last; added and removed: days' numbers."""

    days: str = _NEVER
    first: int = 0
    last: int = 0
    added: array[int] = field(default_factory=lambda: array("i"))
    removed: array[int] = field(default_factory=lambda: array("i"))

    def text(self) -> str | None:
        """Write it as a record holds it; None when it never runs."""
        added, removed = sorted(set(self.added)), sorted(set(self.removed))
        if self.first == 0:  # only dates
            return _of_dates(sorted(set(added) - set(removed)))
        if self.days == _NEVER and not added:
            return None
        return _joined(self.days, self.first, self.last, [one for one in added if one not in set(removed)], removed)


def _of_dates(dates: Sequence[int]) -> str | None:
    """Write a list of days, as a weekly rule with exceptions where that is shorter."""
    if not dates:
        return None
    first, last = dates[0], dates[-1]
    if last - first < _LONGEST_RANGE:
        runs, all_of = [0] * 7, [0] * 7
        present = set(dates)
        for number in range(first, last + 1):
            weekday = (number - 1) % 7  # day 1 was a Monday
            all_of[weekday] += 1
            runs[weekday] += number in present
        usual = [2 * count > whole for count, whole in zip(runs, all_of, strict=True)]
        added = [number for number in dates if not usual[(number - 1) % 7]]
        removed = [number for number in range(first, last + 1) if usual[(number - 1) % 7] and number not in present]
        if len(added) + len(removed) < len(dates):
            return _joined("".join("01"[one] for one in usual), first, last, added, removed)
    return _joined(_NEVER, first, last, dates, ())


def _joined(days: str, first: int, last: int, added: Iterable[int], removed: Iterable[int]) -> str:
    exceptions = [f"+{_written(number)}" for number in added] + [f"-{_written(number)}" for number in removed]
    return " ".join([days, _written(first), _written(last), *exceptions])


def interpolated(times: Sequence[int | None], distances: Sequence[float]) -> list[int] | None:
    """Fill in the times that GTFS lets a feed leave out, in proportion to the distance (metres, from the stop before, first unused).

    None when the first or the last is missing, or when time goes backwards.
    """
    if not times or times[0] is None or times[-1] is None:
        return None
    found: list[int] = [times[0]]
    known = 0
    for place in range(1, len(times)):
        time = times[place]
        if time is None:
            continue
        if time < found[known]:
            return None
        whole, start, passed = sum(distances[known + 1 : place + 1]), found[known], 0.0
        for between in range(known + 1, place):
            passed += distances[between]
            share = passed / whole if whole > 0 else (between - known) / (place - known)
            found.append(start + round((time - start) * share))
        found.append(time)
        known = place
    return found
