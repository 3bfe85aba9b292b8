"""The query of a list, as its parameters say it. No framework, no store."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from services.mobility import modalities, paging, refusals
from services.mobility.geometry import geometries, systems
from services.mobility.geometry.boxes import Box
from services.mobility.paging import Page

EVERY: Final = "*"
AND, OR = ",", "|"
MOST_MEMBERS: Final = 10  # of `contains`, each a join: PostgreSQL plans 50 for 5 s
MOST_CONDITIONS: Final = 50  # values of filters, layers, members: each is a part of the statement
NAME_LIMIT: Final = 255  # characters
_FILTER: Final = re.compile(r"(?P<layer>[\w.]+)::(?P<key>.+)", re.DOTALL)
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Terms:
    """Names that were asked for, all of them or any."""

    names: tuple[str, ...]
    any: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A key that a layer's data must have. values: in text, empty: any value will do."""

    layer: str
    key: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A point in degrees. radius: metres around it; None: the nearest first, however far."""

    lon: float
    lat: float
    radius: float | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """layers: whose data a node must have. shows_every: `layer=*`, all data is shown. either: one of the filters is enough.

    boxes: fully inside one of them. modalities: bits. any_modality: one of them is enough.
    """

    page: Page
    count: bool = False
    geom: bool = False
    name: str | None = None
    trigrams: bool = False
    layers: Terms | None = None
    shows_every: bool = False
    filters: tuple[Filter, ...] = ()
    either: bool = False
    place: Place | None = None
    boxes: tuple[Box, ...] = ()
    starts_in: str | None = None
    ends_in: str | None = None
    contains: tuple[str, ...] = ()
    modalities: int = 0
    any_modality: bool = False


def read(given: Iterable[tuple[str, str]]) -> Query:
    """Read the parameters of a list. Of a parameter that comes twice the last one counts, as in the original. Raises Refusal 422."""
    values = dict(given)
    either = _either(values.get("data_op"))
    layers, every = read_layers(values.get("layer"))
    bits, any_modality = _modalities(values.get("modality"))
    query = Query(
        page=paging.read(values),
        count="count" in values,
        geom="geom" in values,
        name=_name(values.get("name")),
        trigrams="trigrams" in values,
        layers=layers,
        shows_every=every,
        filters=_filters(values, either=either),
        either=either,
        place=_place(values),
        boxes=_boxes(values.get("bbox")),
        starts_in=values.get("starts_in"),
        ends_in=values.get("ends_in"),
        contains=tuple(part for part in values.get("contains", "").split(AND) if part),
        modalities=bits,
        any_modality=any_modality,
    )
    _check_size(query)
    return query


def read_layers(text: str | None) -> tuple[Terms | None, bool]:
    """Read `layer`: the names, and whether all layers' data is shown (`*`), which asks for none. Raises Refusal 422."""
    if text is None or text == EVERY:
        return None, text == EVERY
    if AND in text and OR in text:
        raise refusals.layer_separators()
    either = OR in text
    terms = Terms(tuple(dict.fromkeys(text.split(OR if either else AND))), either)
    if any("*" in name and not _is_wildcard(name) for name in terms.names):
        raise refusals.layer_wildcard()
    _check_number(len(terms.names))
    return terms, False


def _is_wildcard(name: str) -> bool:
    return len(name) > 2 and name.endswith(".*") and name.count("*") == 1


def _either(text: str | None) -> bool:
    if text is None or text.lower() in ("and", "or"):
        return (text or "").lower() == "or"
    raise refusals.parameter("data_op", text, "it is `and` or `or`")


def _filters(values: Mapping[str, str], *, either: bool) -> tuple[Filter, ...]:
    separator, other = (OR, AND) if either else (AND, OR)
    found = []
    for name, value in values.items():
        if "::" not in name:
            continue
        parts = _FILTER.fullmatch(name)
        if parts is None:
            raise refusals.invalid(f"A filter is <layer>::<key>=<value>, not '{name}'.", "filter-invalid")
        if other in value:
            raise refusals.filter_separators()
        found.append(Filter(parts["layer"], parts["key"], tuple(part for part in value.split(separator) if part)))
    return tuple(found)


def _name(text: str | None) -> str | None:
    if text is not None and len(text) > NAME_LIMIT:
        raise refusals.parameter("name", f"{text[:20]}…", f"it has at most {NAME_LIMIT} characters")
    return text or None


def _modalities(text: str | None) -> tuple[int, bool]:
    if text is None:
        return 0, False
    if AND in text and OR in text:
        raise refusals.parameter("modality", text, "either `,` (all of them) or `|` (any)")
    names = text.split(OR if OR in text else AND)
    wrong = next((name for name in names if modalities.bit(name) is None), None)
    if wrong is not None:
        raise refusals.parameter("modality", wrong, f"they are {', '.join(modalities.NAMES)}")
    return modalities.bits(names), OR in text


def _place(values: Mapping[str, str]) -> Place | None:
    lon_name, lat_name = ("x", "y") if "lat" not in values and "lon" not in values else ("lon", "lat")
    if lon_name not in values and lat_name not in values:
        for alone in ("radius", "srid"):
            if alone in values:
                raise refusals.parameter(alone, values[alone], "it belongs to a place: lat and lon, or y and x")
        return None
    for name in (lat_name, lon_name):
        if name not in values:
            raise refusals.parameter(name, "", f"{lat_name} and {lon_name} belong together")
    lon, lat = number(lon_name, values[lon_name]), number(lat_name, values[lat_name])
    if "srid" in values:
        box = geometries.read({"type": "Point", "coordinates": [lon, lat]}, systems.read_srid(values["srid"])).box
        lon, lat = box.west, box.south
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise refusals.parameter(lat_name, f"{values[lat_name]},{values[lon_name]}", "degrees: -90 to 90 north, -180 to 180 east")
    radius = number("radius", values["radius"]) if "radius" in values else None
    if radius is not None and radius < 0:
        raise refusals.parameter("radius", values["radius"], "metres, at least 0")
    return Place(lon, lat, radius)


def _boxes(text: str | None) -> tuple[Box, ...]:
    """Read `top,left,bottom,right`. With left above right the box goes across the date line: it is two."""
    if text is None:
        return ()
    parts = text.strip().removeprefix("[").removesuffix("]").split(",")
    if len(parts) != 4:
        raise refusals.parameter("bbox", text, "four numbers: top,left,bottom,right")
    one, west, other, east = (number("bbox", part) for part in parts)
    south, north = min(one, other), max(one, other)
    if south < -90 or north > 90 or min(west, east) < -180 or max(west, east) > 180:
        raise refusals.parameter("bbox", text, "degrees: top,left,bottom,right")
    if west <= east:
        return (Box(west, south, east, north),)
    return (Box(west, south, 180, north), Box(-180, south, east, north))


def number(name: str, text: str) -> float:
    """Read a number that a parameter gives. Raises Refusal 422."""
    found = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    if not math.isfinite(found):
        raise refusals.parameter(name, text, "it must be a number")
    return found


def _check_size(query: Query) -> None:
    if len(query.contains) > MOST_MEMBERS:
        raise refusals.invalid(f"'contains' takes at most {MOST_MEMBERS} members.", "too-many-conditions")
    asked = len(query.contains) + len(query.layers.names if query.layers else ()) + sum(max(1, len(one.values)) for one in query.filters)
    _check_number(asked)


def _check_number(asked: int) -> None:
    if asked > MOST_CONDITIONS:
        raise refusals.invalid(f"A query has at most {MOST_CONDITIONS} layers, values of filters and members.", "too-many-conditions")
