"""What may stand in a layer, and how one looks in an answer. No framework."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from services.mobility import moments, refusals
from services.mobility.geometry.boxes import Box

PERMANENT: Final = frozenset({"osm", "gtfs", "admr"})
CLEARED: Final = "all cleared"  # the status of a layer whose data was deleted (the original's)
CLEARING: Final = "being cleared"
GROUPS: Final = frozenset(
    (
        *("natural", "cultural", "civic", "tourism", "mobility", "administrative", "environment", "health", "education", "security"),
        "commercial",
    )
)
# `/<cdk_id>/<name>` is something else than a layer's data, or the name says that there is no layer.
RESERVED: Final = frozenset({"nodes", "routes", "ptstops", "ptlines", "regions", "select", "none"})
SIDES: Final = ("min_lon", "min_lat", "max_lon", "max_lat")  # columns
STATUS_LIMIT: Final = 10_000  # characters
_LENGTHS: Final = {"name": 100, "category": 100, "organization": 200, "description": 10_000}
_FORMATS: Final = {"name": re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*"), "category": re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_]+")}
_SOURCES: Final = 100
_RATE: Final = 2**31 - 1  # seconds
_EMPTY_ONLY: Final = frozenset(  # columns of the original's layers that this service does not have
    ("title", "webservice", "import_url", "import_period", "import_config", "import_status", "sample_url", "imported_at", "bbox")
)
_MISSING: Final = "is not present"
_WRONG: Final = "is invalid"
TAKEN: Final = "is already taken"
_TEXT_OF_VALIDITY: Final = re.compile(r"\[([^,]*),([^,]*)[\])]")
_NAMED: Final = 20  # of the fields that are not known
_LEAST_SIDE: Final = 1e-7  # degrees, of a box around one point (the original's)

Mistake = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer that may be created."""

    name: str
    category: str
    organization: str
    description: str
    data_sources: list[str]
    realtime: bool
    update_rate: int | None
    valid_from: dt.datetime | None
    valid_to: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which layers a list shows. name, category: parts of them, in any case. below: how names begin. meets: a box that theirs meets."""

    name: str | None = None
    below: str | None = None
    category: str | None = None
    meets: Box | None = None


def domain_of(name: str) -> str:
    """Return the first part of a layer's name."""
    return name.partition(".")[0]


def read(given: Mapping[str, Any]) -> NewLayer:
    """Check the fields of a layer. Raises Refusal 422 with every mistake, by field, in the original's words."""
    wrong: dict[str, list[str]] = {}

    def mistake(field: str, message: str) -> None:
        wrong.setdefault(field, []).append(message)

    texts = {field: _text(given.get(field), field, mistake) for field in _LENGTHS}
    if texts["name"] in RESERVED:
        mistake("name", "is reserved")
    group = texts["category"].partition(".")[0]
    if "category" not in wrong and group not in GROUPS:
        mistake("category", f"Cannot be '{group}'")
    realtime = given.get("realtime")
    if realtime is not None and not isinstance(realtime, bool):
        mistake("realtime", "must be true or false")
    sources = _sources(given.get("data_sources"), mistake)
    rate = _rate(given.get("update_rate"), mistake)
    valid_from, valid_to = _validity(given.get("validity"), mistake)
    others = given.keys() - _LENGTHS.keys() - {"realtime", "data_sources", "update_rate", "validity"}
    for field in sorted(others - _EMPTY_ONLY)[:_NAMED]:
        mistake(field[:100], "is not a field of layers")
    for field in others & _EMPTY_ONLY:
        if given[field] not in (None, ""):
            mistake(field, "is not supported")
    if wrong:
        raise refusals.invalid_fields(wrong)
    return NewLayer(**texts, data_sources=sources, realtime=bool(realtime), update_rate=rate, valid_from=valid_from, valid_to=valid_to)


def _text(value: object, field: str, mistake: Mistake) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        mistake(field, _MISSING)
        return ""
    form = _FORMATS.get(field)
    if not isinstance(value, str) or (form and not form.fullmatch(value)):
        mistake(field, _WRONG)
        return ""
    if len(value) > _LENGTHS[field]:
        mistake(field, f"is longer than {_LENGTHS[field]} characters")
    return value


def _sources(value: object, mistake: Mistake) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _SOURCES or not all(isinstance(one, str) and len(one) <= 1000 for one in value):
        mistake("data_sources", f"must be a list of at most {_SOURCES} texts of at most 1000 characters")
        return []
    return value


def _rate(value: object, mistake: Mistake) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{0,10}", value):  # the original's forms send texts
        value = int(value) if value else None
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _RATE:
        mistake("update_rate", f"must be a number of seconds, from 0 to {_RATE}")
        return None
    return value


def _validity(value: object, mistake: Mistake) -> tuple[dt.datetime | None, dt.datetime | None]:
    if value is None or value == "":
        return None, None
    if isinstance(value, str) and (found := _TEXT_OF_VALIDITY.fullmatch(value.strip())):
        value = [found[1].strip(), found[2].strip()]
    first, last = map(moments.read, value) if isinstance(value, list) and len(value) == 2 else (None, None)
    if first is None or last is None or last < first:
        mistake("validity", "must be a list of two moments (ISO 8601), the earlier one first")
        return None, None
    return first, last


def columns(field: str) -> tuple[str, ...]:
    """Return the columns that keep a field."""
    return ("valid_from", "valid_to") if field == "validity" else (field,)


def read_status(given: object) -> str:
    """Check the text that an importer leaves. Raises Refusal 422."""
    if given is None or given == "":
        raise refusals.data_missing()
    if not isinstance(given, str) or len(given) > STATUS_LIMIT:
        raise refusals.invalid(f"'data' must be a text of at most {STATUS_LIMIT} characters", "status-invalid")
    return given


def shown_source(source: str) -> str:
    """Return a data source as readers see it: what stands before the first `=` is for importers (the original's)."""
    return source.partition("=")[2] if "=" in source else source


def outline(box: Box) -> dict[str, Any]:
    """Return a box as a GeoJSON polygon; one without width or height is widened a little, as in the original."""
    west, east = _sides(box.west, box.east, 180)
    south, north = _sides(box.south, box.north, 90)
    return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]}


def _sides(low: float, high: float, most: float) -> tuple[float, float]:
    return (low, high) if low < high else (max(-most, low - _LEAST_SIDE), min(most, high + _LEAST_SIDE))


def surviving(ids: Sequence[int], others: Set[int], routes: Iterable[tuple[int, int]]) -> list[int]:
    """Return which nodes of a layer stay when its data is deleted: other layers have data there, or a route that stays goes through them.

    ids: in the order of creation, so that a route comes after all that it goes through. others: where other layers have data.
    routes: (node, route through it).
    """
    through: dict[int, list[int]] = {}
    for node_id, route_id in routes:
        through.setdefault(node_id, []).append(route_id)
    gone: set[int] = set()
    for node_id in reversed(ids):
        if node_id not in others and all(route in gone for route in through.get(node_id, ())):
            gone.add(node_id)
    return [node_id for node_id in ids if node_id not in gone]


def wanted(query: Mapping[str, str]) -> Wanted:
    """Read what the query of a list says of names, categories and a point. Raises Refusal 422."""
    name = query.get("name")
    below = name.removesuffix("*") if name is not None and name.endswith(".*") else None
    point = None
    if "lat" in query or "lon" in query:
        lon, lat = _degrees(query, "lon", 180), _degrees(query, "lat", 90)
        point = Box(lon, lat, lon, lat)
    return Wanted(name, below, query.get("category"), point)


def _degrees(query: Mapping[str, str], name: str, most: int) -> float:
    text = query.get(name, "")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not -most <= number <= most:
        raise refusals.parameter(name, text[:50], f"degrees, from -{most} to {most}")
    return number
