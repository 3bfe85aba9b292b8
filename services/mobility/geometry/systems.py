"""Coordinate systems by their EPSG numbers (PROJ's, by pyproj), and the way from them to EPSG:4326.

pyproj is imported when a system other than 4326 is first asked for: it costs time and memory. It asks no network: what it knows is in its
wheel.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from services.mobility import refusals
from services.mobility.geometry.shapes import Fault, Floats

WGS84: Final = 4326
SYSTEMS_A_REQUEST: Final = 8  # to prepare one takes 25 ms
_LARGEST: Final = 1e8  # metres or feet: more than the Earth's circumference in metres
_KEPT: Final = 16  # systems that stay prepared


def read_srid(given: Any) -> int:
    """Read the parameter `srid`: a whole number or its digits, as the original took them; None: 4326. Raises Refusal 422."""
    if given is None:
        return WGS84
    found = int(given) if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= 9 else given
    if type(found) is not int or found <= 0:
        raise refusals.srid_invalid(given)
    if found != WGS84:
        system(found)
    return found


def system(srid: int, where: Mapping[str, Any] | None = None) -> System:
    """Return a system other than 4326. where: such as the index of the node that names it.

    Raises Refusal 422 when there is no such one, or it has no longitude or x.
    """
    try:
        return _system(srid)
    except LookupError:
        raise refusals.srid_invalid(srid, where) from None


class System:
    """The way from one system to EPSG:4326. Thread-safe: a `pyproj.Transformer` keeps one of PROJ's objects for each thread."""

    def __init__(self, transformer: Any, degrees: bool) -> None:
        self._transformer = transformer
        self._degrees = degrees

    def to_wgs84(self, coordinates: Floats) -> Floats:
        """Re-project positions, x before y. What cannot be becomes infinite."""
        x, y = coordinates[:, 0].copy(), coordinates[:, 1].copy()
        wild = ~((abs(x) <= (180 if self._degrees else _LARGEST)) & (abs(y) <= (90 if self._degrees else _LARGEST)))  # NaN is wild
        x[wild] = y[wild] = np.inf  # PROJ would turn it around the Earth until it fits
        lon, lat = self._transformer.transform(x, y, errcheck=False)
        return np.column_stack([_rounded(lon, 180), _rounded(lat, 90)])


def _rounded(degrees: Floats, most: float) -> Floats:
    """Bring back what only PROJ's arithmetic, 1e-13 of a degree, has moved over the edge."""
    over = (abs(degrees) > most) & (abs(degrees) < most + 1e-9)
    degrees[over] = np.copysign(most, degrees[over])
    return degrees


@functools.lru_cache(_KEPT)
def _system(srid: int) -> System:
    import pyproj
    import pyproj.network

    pyproj.network.set_network_enabled(active=False)  # type: ignore[attr-defined]
    try:
        crs = pyproj.CRS.from_epsg(srid)
        if not (crs.is_geographic or crs.is_projected):
            raise LookupError(srid)
        transformer = pyproj.Transformer.from_crs(crs, WGS84, always_xy=True)
    except (pyproj.exceptions.ProjError, OverflowError):
        raise LookupError(srid) from None
    return System(transformer, crs.is_geographic and crs.axis_info[0].unit_name == "degree")


def check(coordinates: Floats) -> None:
    """Check that positions are longitudes and latitudes. Raises Fault."""
    if not len(coordinates):
        return
    if not np.isfinite(coordinates).all():
        raise Fault("a coordinate is not a finite number, or has no place in EPSG:4326")
    (west, south), (east, north) = coordinates.min(axis=0).tolist(), coordinates.max(axis=0).tolist()
    if west < -180 or east > 180:
        raise Fault(f"longitude {west if west < -180 else east} is not between -180 and 180")
    if south < -90 or north > 90:
        raise Fault(f"latitude {south if south < -90 else north} is not between -90 and 90")
