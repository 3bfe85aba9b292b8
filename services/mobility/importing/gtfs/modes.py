"""Modalities of GTFS route types: the eight of the reference and later ones, and the extended types (hundreds)."""

from __future__ import annotations

from typing import Final

_BASIC: Final = {
    0: "tram", 1: "subway", 2: "rail", 3: "bus", 4: "ferry", 5: "cable_car", 6: "gondola", 7: "funicular",
    11: "bus",  # trolleybus
    12: "rail",  # monorail
}  # fmt: skip
_SINGLE: Final = {405: "rail", 1701: "cable_car", 1702: "horse"}
_HUNDREDS: Final = {
    1: "rail", 2: "bus", 3: "rail", 4: "subway", 5: "subway", 6: "subway", 7: "bus", 8: "bus", 9: "tram", 10: "ferry", 11: "airplane",
    12: "ferry", 13: "gondola", 14: "funicular", 15: "car", 16: "car",
}  # fmt: skip


def modality(route_type: str) -> str | None:
    """Return the modality of a `route_type`, None when it has none."""
    if not (route_type.isascii() and route_type.isdecimal() and len(route_type) <= 4):
        return None
    number = int(route_type)
    return _BASIC.get(number) or _SINGLE.get(number) or _HUNDREDS.get(number // 100)
