"""Geometries as clients send and read them: GeoJSON or WKB in any coordinate system, kept as WKB in EPSG:4326."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import shapely

from services.mobility import refusals
from services.mobility.geometry.boxes import Box


@dataclass(frozen=True, slots=True)
class Geometry:
    """A checked geometry. wkb: in EPSG:4326, little-endian."""

    wkb: bytes
    box: Box


def read(given: Any, srid: int = 4326) -> Geometry:
    """Check a geometry that a client sent. srid: of its coordinates. Raises Refusal 422."""
    try:
        shape = shapely.from_geojson(json.dumps(given))
    except (shapely.errors.GEOSException, TypeError, ValueError):
        raise refusals.invalid("Invalid GeoJSON geometry encountered", "geometry-invalid") from None
    return Geometry(shapely.to_wkb(shape, byte_order=1), Box(*shapely.bounds(shape).tolist()))


def to_geojson(wkb: bytes) -> dict[str, Any]:
    """Return a kept geometry as GeoJSON."""
    found: dict[str, Any] = json.loads(shapely.to_geojson(shapely.from_wkb(wkb)))
    return found
