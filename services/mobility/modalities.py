"""Modalities: ways to travel. Outside they have names, in the database a set of them is a number with one bit each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# The order gives the bits: a new name goes to the end. The names are the original's; `any` is not in its documentation.
NAMES: Final = (
    "tram", "subway", "rail", "bus", "ferry", "cable_car", "gondola", "funicular", "airplane", "foot", "bicycle", "moped", "motorbike",
    "car", "truck", "horse", "any",
)  # fmt: skip
_BITS: Final = {name: 1 << place for place, name in enumerate(NAMES)}


def bit(name: object) -> int | None:
    """Return the bit of a modality, None when there is no such one."""
    return _BITS.get(name) if isinstance(name, str) else None


def names(bits: int) -> list[str]:
    """Return the names of a set."""
    return [name for name, one in _BITS.items() if bits & one]


def bits(given: Iterable[object]) -> int:
    """Return the set of these names, all of which must be known."""
    found = 0
    for name in given:
        one = bit(name)
        assert one is not None
        found |= one
    return found
