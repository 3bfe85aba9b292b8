"""Boxes of a few nodes, to find those near a place without an index. No framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from services.mobility.geometry.boxes import METRES_PER_DEGREE, Box

_SLACK: Final = 1.05  # the plane's distances are not the sphere's


class Boxes:
    """rows: id, west, south, east, north."""

    def __init__(self, rows: Sequence[Sequence[Any]]) -> None:
        self._ids = np.array([row[0] for row in rows], np.int64)
        self._sides = np.array([tuple(row[1:5]) for row in rows], np.float64).reshape(-1, 4)

    def __len__(self) -> int:
        return len(self._ids)

    def meeting(self, boxes: Sequence[Box]) -> list[int]:
        """Return the ids of those that meet one of these."""
        west, south, east, north = self._sides.T
        found = np.zeros(len(self._ids), bool)
        for box in boxes:
            found |= (west <= box.east) & (east >= box.west) & (south <= box.north) & (north >= box.south)
        ids: list[int] = self._ids[found].tolist()
        return ids

    def reach(self, lon: float, lat: float, many: int) -> float:
        """Return a radius in metres within which so many are, more or less."""
        west, south, east, north = self._sides.T
        across = (np.clip(lon, west, east) - lon) * np.cos(np.radians(lat))
        along = np.clip(lat, south, north) - lat
        distances = np.sort(np.hypot(across, along))
        return float(distances[min(many, len(distances)) - 1]) * METRES_PER_DEGREE * _SLACK + 1
