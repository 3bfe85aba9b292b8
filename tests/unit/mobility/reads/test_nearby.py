"""Bands of boxes around a place."""

from __future__ import annotations

import random
import struct

from services.mobility.geometry.distances import metres
from services.mobility.reads.rules.nearby import Boxes, bands


def test_bands_hold_all_of_a_circle_and_little_besides() -> None:
    chance = random.Random(3)
    places = [(chance.uniform(-180, 180), chance.uniform(-90, 90)) for _ in range(4000)]
    points = Boxes([(number, lon, lat, lon, lat) for number, (lon, lat) in enumerate(places)])
    wkbs = [struct.pack("<BIdd", 1, 1, *place) for place in places]
    for lon, lat in ((0.0, 0.0), (4.9, 52.4), (-30.0, 60.0), (179.5, -45.0), (20.0, 89.5), (-100.0, -90.0)):
        for radius in (1_000.0, 250_000.0, 2_300_000.0, 9_000_000.0, 12_000_000.0, 19_000_000.0, 20_015_114.0):
            near = {number for number, distance in enumerate(metres(lon, lat, wkbs)) if distance <= radius}
            found = points.meeting(bands(lon, lat, radius))
            assert near <= set(found)
            assert len(set(found)) <= 1.5 * len(near) + 20
