"""Geometries of GeoJSON (RFC 7946, section 3.1), read without a library: each mistake is named."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from services.mobility.geometry.shapes import COLLECTION, KINDS, VERTEX_LIMIT, Fault, Shape, checked, too_many

_KINDS: Final = {name: number for number, name in enumerate(KINDS, 1)}
_NUMBER: Final = struct.Struct("<I")
_NUMBERS: Final = (float, int)  # by `type`, which keeps out bool
_SHOWN: Final = 40  # characters of what was sent, in a message


def plain_point(given: Any) -> tuple[float, float] | None:
    """Return the coordinates of the commonest geometry, a point of two numbers; None for all else, faults included."""
    if type(given) is not dict or given.get("type") != "Point":
        return None
    position = given.get("coordinates")
    if type(position) is not list or len(position) != 2:
        return None
    x, y = position
    return (x, y) if type(x) in _NUMBERS and type(y) in _NUMBERS else None


def parse(given: Any) -> Shape:
    """Read a geometry. A third number of a position, the height, is dropped. Raises Fault."""
    if not isinstance(given, dict):
        raise Fault("it is not an object")
    name = given.get("type")
    if name == "GeometryCollection":
        raise Fault
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Fault(f"'type' is {_short(name)}, not one of {', '.join(KINDS)}")
    flat: list[float] = []
    parts = tuple(tuple(_take(ring, flat) for ring in part) for part in _parts(kind, given.get("coordinates")))
    return checked(kind, parts, np.array(flat, np.float64).reshape(-1, 2))


def _parts(kind: int, coordinates: Any) -> Iterable[Iterable[list[Any]]]:
    """Bring the coordinates of each kind to one depth: parts of rings of positions."""
    found = _list(coordinates)
    if kind == 1:
        return [[[found]]]
    if kind == 2:
        return [[found]]
    if kind == 3:
        return [map(_list, found)]
    if kind == 4:
        return ([[position]] for position in found)
    if kind == 5:
        return ([_list(line)] for line in found)
    return (map(_list, _list(polygon)) for polygon in found)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Fault(f"'coordinates' hold {_short(value)} where an array is needed")
    return value


def _take(positions: list[Any], flat: list[float]) -> int:
    """Append x and y of each position; return how many positions there were."""
    if not positions:
        raise Fault("it is empty")
    if len(flat) // 2 + len(positions) > VERTEX_LIMIT:
        raise too_many()
    for position in positions:
        if type(position) is not list or not 2 <= len(position) <= 3:
            raise Fault(f"a position is {_short(position)}, not an array of 2 or 3 numbers")
        for number in position:
            if type(number) not in _NUMBERS:
                raise Fault(f"a coordinate is {_short(number)}, not a number")
        try:
            flat += (float(position[0]), float(position[1]))
        except OverflowError:
            raise Fault("a coordinate is too large") from None
    return len(positions)


def _short(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f"an array of {len(value)}" if isinstance(value, list) else "an object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def show(kept: bytes) -> dict[str, Any]:
    """Return a kept geometry, little-endian WKB in two dimensions, as GeoJSON. It was checked when it was written."""
    return _show(kept, 0)[0]


def _show(kept: bytes, at: int) -> tuple[dict[str, Any], int]:
    """Return the geometry that begins at a byte, and where it ends."""
    (kind,) = _NUMBER.unpack_from(kept, at + 1)
    at += 5
    if kind <= 3:
        coordinates, at = _coordinates(kept, at, kind)
        return {"type": KINDS[kind - 1], "coordinates": coordinates}, at
    (count,) = _NUMBER.unpack_from(kept, at)
    at += 4
    parts = []
    for _ in range(count):
        part, at = _show(kept, at) if kind == COLLECTION else _coordinates(kept, at + 5, kind - 3)
        parts.append(part)
    if kind == COLLECTION:  # no client sends one, but the geometry of a route may be one
        return {"type": "GeometryCollection", "geometries": parts}, at
    return {"type": KINDS[kind - 1], "coordinates": parts}, at


def _coordinates(kept: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == 1:
        return list(struct.unpack_from("<dd", kept, at)), at + 16
    (count,) = _NUMBER.unpack_from(kept, at)
    at += 4
    if kind == 3:
        rings = []
        for _ in range(count):
            ring, at = _coordinates(kept, at, 2)
            rings.append(ring)
        return rings, at
    flat = struct.unpack_from(f"<{2 * count}d", kept, at)
    return list(map(list, zip(flat[::2], flat[1::2], strict=True))), at + 16 * count
