"""Items in other formats than JSON. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from services.sessions.items.rules import polygons
from services.sessions.items.rules.places import Place

OUTLINE: Final = "polygons"  # the field of an item's geometry
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")  # a text that begins so is calculated by spreadsheets
_NO_PLACE: Final = "metres east and north of the south-west corner of the map, which has no place on Earth"


def typed(type_name: str, items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return items each wrapped in its type: `{"Building": {…}}`."""
    return [{type_name: item} for item in items]


def to_csv(items: Sequence[Mapping[str, Any]]) -> str:
    """Write items as CSV (RFC 4180), with a line of names; outlines as WKT.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    names = list(dict.fromkeys(name for item in items for name in item))
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(names)
    outlines = iter(polygons.from_geojson(item[OUTLINE] for item in items if OUTLINE in item))
    for item in items:
        lines.writerow(next(outlines).wkt if name == OUTLINE and name in item else _cell(item.get(name)) for name in names)
    return written.getvalue()


def to_geojson(items: Sequence[Mapping[str, Any]], place: Place) -> dict[str, Any]:
    """Return items with outlines as a GeoJSON FeatureCollection in degrees; in metres, which a member says, where the map has no place."""
    outlines = polygons.from_geojson(item[OUTLINE] for item in items)
    shown = place.to_lonlat(outlines) if place.is_on_earth else outlines
    features = [
        {
            "type": "Feature",
            "id": item["id"],
            "geometry": polygons.to_geojson(outline),
            "properties": {name: value for name, value in item.items() if name not in ("id", OUTLINE)},
        }
        for item, outline in zip(items, shown, strict=True)
    ]
    found: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    return found if place.is_on_earth else {**found, "units": _NO_PLACE}


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value) if isinstance(value, bool) else value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULAS) else text
