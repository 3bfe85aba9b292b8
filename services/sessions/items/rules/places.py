"""The map of a session: its size, and where on Earth it is. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pyproj
import shapely
from pyproj.enums import TransformDirection

_DEGREE_DIGITS: Final = 8  # a millimetre
_METRE_DIGITS: Final = 3

Axes = Callable[[Any, Any], tuple[Any, Any]]  # arrays of x and y


@dataclass(frozen=True, slots=True)
class Place:
    """A square map. size_m: of a side, metres. lat, lon: degrees of its middle; None: it has no place on Earth."""

    size_m: int
    lat: float | None
    lon: float | None

    @property
    def is_on_earth(self) -> bool:
        return self.lat is not None and self.lon is not None

    @property
    def crs(self) -> str:
        """Return how metres on the map become degrees, as PROJ writes it: transverse Mercator at the middle of the map."""
        if not self.is_on_earth:
            return "metres east and north of the south-west corner of the map, which has no place on Earth"
        return _projection(self.size_m, self.lat, self.lon) + " +units=m +type=crs"

    def to_lonlat(self, geometries: Any) -> Any:
        """Return geometries in metres as such in degrees. Takes and gives one of shapely's or an array of them."""
        return shapely.transform(geometries, self._transformation(TransformDirection.INVERSE, _DEGREE_DIGITS), interleaved=False)

    def from_lonlat(self, geometries: Any) -> Any:
        """Return geometries in degrees as such in metres, infinite where the projection has no value. As `to_lonlat`."""
        return shapely.transform(geometries, self._transformation(TransformDirection.FORWARD, _METRE_DIGITS), interleaved=False)

    def bounds_lonlat(self) -> list[float]:
        """Return west, south, east and north of the map in degrees."""
        bounds = shapely.bounds(self.to_lonlat(shapely.segmentize(shapely.box(0, 0, self.size_m, self.size_m), self.size_m / 8)))
        return [float(one) for one in bounds]

    def _transformation(self, direction: TransformDirection, digits: int) -> Axes:
        found = _transformer(self.size_m, self.lat, self.lon)

        def transform(x: Any, y: Any) -> tuple[Any, Any]:
            x, y = found.transform(x, y, direction=direction)
            return x.round(digits), y.round(digits)

        return transform


def _projection(size_m: int, lat: float | None, lon: float | None) -> str:
    return f"+proj=tmerc +lat_0={lat} +lon_0={lon} +k=1 +x_0={size_m / 2} +y_0={size_m / 2} +ellps=WGS84"


@functools.lru_cache(maxsize=256)
def _transformer(size_m: int, lat: float | None, lon: float | None) -> pyproj.Transformer:
    degrees = "+proj=unitconvert +xy_in=deg +xy_out=rad"
    return pyproj.Transformer.from_pipeline(f"+proj=pipeline +step {degrees} +step {_projection(size_m, lat, lon)}")
