"""Boxes in degrees, as indexes find them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

EARTH_M: Final = 6_371_008.8  # mean radius of the Earth (IUGG)
METRES_PER_DEGREE: Final = math.pi * EARTH_M / 180  # of latitude


@dataclass(frozen=True, slots=True)
class Box:
    """A box in degrees, sides included. west may not be above east: a box across the date line is two boxes (`around`)."""

    west: float
    south: float
    east: float
    north: float


def around(lon: float, lat: float, radius_m: float) -> list[Box]:
    """Return boxes, one or two, that hold every point nearer to a point than the radius."""
    dlat = radius_m / METRES_PER_DEGREE * 1.000_001 + 1e-9
    south, north = lat - dlat, lat + dlat
    if south <= -90 or north >= 90:
        return [Box(-180, max(south, -90), 180, min(north, 90))]
    # a circle's meridian of contact is nearer to the pole than its centre: sin(dlon) = sin(radius) / cos(lat)
    ratio = math.sin(min(math.radians(dlat), math.pi / 2)) / math.cos(math.radians(lat))
    if ratio >= 1:
        return [Box(-180, south, 180, north)]
    dlon = math.degrees(math.asin(ratio)) + 1e-9
    west, east = lon - dlon, lon + dlon
    if west < -180:
        return [Box(west + 360, south, 180, north), Box(-180, south, east, north)]
    if east > 180:
        return [Box(west, south, 180, north), Box(-180, south, east - 360, north)]
    return [Box(west, south, east, north)]
