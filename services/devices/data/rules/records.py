"""A record, as it is stored."""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """One checked record. time: milliseconds since 1970, UTC.

    number: a JSON number that a double holds exactly; value: the JSON text of any other value; both None when there is none. location: JSON
    text of a GeoJSON point. metadata: JSON text.
    """

    variable: str
    time: int
    number: float | None
    value: str | None
    unit: str | None
    group: str
    location: str | None
    metadata: str | None
