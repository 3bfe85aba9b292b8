"""How values are shown on pages: lists of objects as tables, moments as dates, what is long or deep shortened. Pure."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_ROWS: Final = 500  # of a table; a longer list is read as data
_MOST_CHARACTERS: Final = 300  # of a cell
_MOMENTS: Final = frozenset({"timeMS", "lastSeen", "updated", "timeStamp"})
_PLAUSIBLE_MS: Final = range(10**11, 10**14)  # as moments: 1973 to 5138


@dataclass(frozen=True, slots=True)
class Table:
    """A list of objects. columns: all their names. rows: the first ones. left: how many more there are."""

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    left: int


def table(value: Any) -> Table | None:
    """Return a list of objects as a table; None for any other value."""
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(one, Mapping) for one in value):
        return None
    rows = value[:MOST_ROWS]
    return Table(tuple(dict.fromkeys(name for row in rows for name in row)), rows, len(value) - len(rows))


def is_plain(value: Any) -> bool:
    """Say whether a value is a text, a number, true, false or null."""
    return value is None or isinstance(value, (str, int, float))


def written(value: Any) -> str:
    """Write a value as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)


def brief(text: str) -> str:
    """Shorten a text to what a cell takes."""
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def moment(name: str, value: Any) -> dt.datetime | None:
    """Return the moment that a value of this name is, in milliseconds since 1970; None when it is none."""
    if name not in _MOMENTS or isinstance(value, bool) or not isinstance(value, int) or value not in _PLAUSIBLE_MS:
        return None
    return dt.datetime.fromtimestamp(value / 1000, dt.UTC)
