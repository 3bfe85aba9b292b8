"""Well-known binary (OGC 06-103r4, section 8), with PostGIS' additions (EWKB: an srid, heights by a flag). Read without a library, so that
no bytes whatever reach one that is written in C.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np

from services.mobility.geometry.shapes import COLLECTION, KINDS, VERTEX_LIMIT, Fault, Shape, checked, too_many

_Z, _M, _SRID = 0x80000000, 0x40000000, 0x20000000  # EWKB's flags in the type
_POINT: Final = struct.Struct("<BIdd")
_HEAD: Final = struct.Struct("<BI")
_COUNTED: Final = struct.Struct("<BII")
_COUNT: Final = struct.Struct("<I")
POINT_BYTES: Final = _POINT.size  # of a point in two dimensions


def of_point(x: float, y: float) -> bytes:
    """Write a point."""
    return _POINT.pack(1, 1, x, y)


def point_of(wkb: bytes) -> tuple[float, float] | None:
    """Return the coordinates of a point as `of_point` writes it, None when it is something else."""
    if len(wkb) != POINT_BYTES:
        return None
    order, kind, x, y = _POINT.unpack(wkb)
    return (x, y) if (order, kind) == (1, 1) else None


def write(shape: Shape) -> bytes:
    """Write a shape, little-endian, in two dimensions."""
    single = shape.kind if shape.kind <= 3 else shape.kind - 3
    found = [] if shape.kind == single else [_COUNTED.pack(1, shape.kind, len(shape.parts))]
    numbers = memoryview(np.ascontiguousarray(shape.coordinates, "<f8").tobytes())
    at = 0
    for part in shape.parts:
        found.append(_HEAD.pack(1, single))
        if single == 3:
            found.append(_COUNT.pack(len(part)))
        for count in part:
            if single != 1:
                found.append(_COUNT.pack(count))
            found.append(bytes(numbers[at : at + 16 * count]))
            at += 16 * count
    return b"".join(found)


def parse(data: bytes) -> tuple[Shape, int | None]:
    """Read a geometry and its own srid, None when it has none. Heights and measures are dropped. Raises Fault."""
    reader = _Reader(data)
    kind, dimensions, srid = reader.head()
    single = kind if kind <= 3 else kind - 3
    parts = []
    for _ in range(1 if kind == single else reader.count(least=_HEAD.size)):
        if kind != single:
            inner, dimensions, _srid = reader.head()
            if inner != single:
                raise Fault(f"a {KINDS[kind - 1]} holds something other than {KINDS[single - 1]}s")
        rings = reader.count(least=_COUNT.size) if single == 3 else 1
        if not rings:
            raise Fault("it is empty")
        parts.append(tuple(reader.positions(1 if single == 1 else None, dimensions) for _ in range(rings)))
    if reader.at != len(data):
        raise Fault("bytes follow the WKB's end")
    coordinates = np.concatenate(reader.found) if reader.found else np.empty((0, 2))
    return checked(kind, tuple(parts), coordinates), srid


class _Reader:
    """A place in the bytes, and the positions that were read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = "<"
        self._total = 0
        self.at = 0
        self.found: list[Any] = []

    def head(self) -> tuple[int, int, int | None]:
        """Read kind, dimensions, srid."""
        self._needs(_HEAD.size)
        if self._data[self.at] > 1:
            raise Fault("its byte order is neither 0 nor 1")
        self._order = "<" if self._data[self.at] else ">"
        self.at += 1
        given = self._number()
        kind = given & 0x0FFFFFFF
        iso, kind = divmod(kind, 1000)  # ISO: 1000 is added for Z, 2000 for M, 3000 for both
        if iso > 3 or not 1 <= kind <= COLLECTION:
            raise Fault(f"its WKB type {given} is not one of {', '.join(KINDS)}")
        if kind == COLLECTION:
            raise Fault
        dimensions = 2 + (iso in (1, 3) or bool(given & _Z)) + (iso in (2, 3) or bool(given & _M))
        srid = self._number() if given & _SRID else None
        return kind, dimensions, srid or None

    def count(self, least: int) -> int:
        """Read how many things follow. least: bytes of one: what cannot be there is not looped over."""
        number = self._number()
        self._needs(number * least)
        return number

    def positions(self, count: int | None, dimensions: int) -> int:
        """Read positions, as many as it says there or as `count` says; return how many."""
        size = 8 * dimensions
        number = self.count(size) if count is None else count
        if not number:  # here, as megabytes of nothing take seconds to be read
            raise Fault("it is empty")
        self._total += number
        if self._total > VERTEX_LIMIT:
            raise too_many()
        self._needs(number * size)
        values = np.frombuffer(self._data, f"{self._order}f8", number * dimensions, self.at)
        self.at += number * size
        self.found.append(values.reshape(-1, dimensions)[:, :2].astype(np.float64))
        return number

    def _number(self) -> int:
        self._needs(4)
        (found,) = struct.unpack_from(f"{self._order}I", self._data, self.at)
        self.at += 4
        return int(found)

    def _needs(self, size: int) -> None:
        if self.at + size > len(self._data):
            raise Fault("the WKB ends too early")
