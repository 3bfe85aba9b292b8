"""How near boxes are to a place."""

from __future__ import annotations

import random
import struct

import numpy as np

from services.mobility.geometry.boxes import Box
from services.mobility.geometry.distances import metres
from services.mobility.reads.rules.nearby import cut, least_of, quarters


def points(box: Box, chance: random.Random) -> list[bytes]:
    """Points in a box, many of them at its sides and corners."""
    west_east = [box.west, box.east, *(chance.uniform(box.west, box.east) for _ in range(40))]
    south_north = [box.south, box.north, *(chance.uniform(box.south, box.north) for _ in range(40))]
    return [struct.pack("<BIdd", 1, 1, lon, lat) for lon in west_east for lat in south_north]


def test_nothing_in_a_box_is_nearer_than_it_and_something_is_hardly_farther() -> None:
    chance = random.Random(3)
    for place in ((0.0, 0.0), (4.9, 52.4), (-30.0, 60.0), (179.5, -45.0), (20.0, 89.5), (-100.0, -90.0)):
        for size in (0.001, 1.0, 30.0, 179.0):
            west, south = chance.uniform(-180, 180 - size), chance.uniform(-90, 90 - min(size, 170))
            box = Box(west, south, west + size, south + min(size, 170))
            nearest = min(metres(*place, points(box, chance)))
            assert least_of(*place, [box])[0] <= nearest <= least_of(*place, [box])[0] + 3000 * size + 1


def test_pieces_are_the_whole_and_what_is_tiny_stays_whole() -> None:
    box, other = Box(-180, -90, 180, 90), Box(3, 50, 7, 53)
    assert len(quarters(box)) == 4
    assert len(cut(box, other)) == 9
    assert other in cut(box, other)
    for pieces in (quarters(box), cut(box, other), cut(other, Box(0, 51, 200, 60))):
        areas = [(one.east - one.west) * (one.north - one.south) for one in pieces]
        whole = box if len(pieces) != 2 else other
        assert np.isclose(sum(areas), (whole.east - whole.west) * (whole.north - whole.south))
    assert quarters(Box(1, 1, 1, 1)) == []
    assert quarters(Box(1, 1, 2, 1)) == [Box(1, 1, 1.5, 1), Box(1.5, 1, 2, 1)]
