"""Read GeoJSON (RFC 7946) feature by feature: a FeatureCollection, a single Feature, or one feature a line (RFC 8142, `.geojsonl`)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from services.mobility.importing.client import encode
from services.mobility.importing.json_stream import LARGEST, Cursor, NotJSON, decoder
from services.mobility.importing.problems import Problems, Stopped
from services.mobility.importing.seen import Seen
from services.mobility.importing.sending import Item, Kind

LINES: Final = (".geojsonl", ".geojsons", ".ndjson", ".jsonl", ".ndgeojson")
WGS84: Final = 4326
_NODE: Final = Kind()
_DEGREES: Final = "CRS84"  # the end of what OGC calls longitude and latitude
_EPSG: Final = re.compile(r"(?:urn:ogc:def:crs:EPSG:[\d.]*:|EPSG:|https?://www\.opengis\.net/def/crs/EPSG/0/)(\d{1,6})", re.I)
_LONGEST_LINE: Final = LARGEST  # bytes
_UNFIT: Final = "features that are no nodes"


@dataclass(frozen=True, slots=True)
class Keys:
    """Which properties are the id and the name. id: None takes the `id` of the feature itself."""

    id: str | None = None
    name: str = "name"


def is_lines(path: Path) -> bool:
    """Say whether the file has one feature a line, by its name."""
    return path.suffix.lower() in LINES


def srid_of(path: Path) -> int:
    """Say which reference system the file names before its features (`crs` of GeoJSON 2008). Raises Stopped, OSError."""
    if is_lines(path):
        return WGS84
    try:
        found = _crs(path)
    except NotJSON as error:
        raise Stopped(f"{path} cannot be read: {error}") from None
    name = found.get("properties", {}).get("name", "") if isinstance(found.get("properties"), dict) else ""
    if not name or str(name).upper().endswith(_DEGREES):
        return WGS84
    match = _EPSG.fullmatch(str(name))
    if match is None:
        raise Stopped(f"{path}: its reference system {str(name)[:100]!r} has no EPSG number that is known here; name one with --srid")
    return int(match[1])


def _crs(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as file:
        cursor = Cursor(file)
        if not cursor.took("{"):
            return {}
        while cursor.peek() == '"':
            key = cursor.value()
            cursor.take(":")
            if key == "features":
                break
            value = cursor.value()
            if key == "crs":
                return value if isinstance(value, dict) else {}
            if not cursor.took(","):
                break
    return {}


def items(path: Path, keys: Keys, layer: str, seen: Seen, problems: Problems, read: Callable[[int], None]) -> Iterator[Item]:
    """Read the nodes of a file. seen: the ids of the run. read: takes the number of bytes as they are read. Raises Stopped, OSError."""
    with path.open("rb") as file:
        found = _lines(file, path, problems, read) if is_lines(path) else _features(file, path, read)
        for place, feature in found:
            item = _item(place, feature, keys, layer, seen, problems)
            if item is not None:
                yield item


def _features(file: BinaryIO, path: Path, read: Callable[[int], None]) -> Iterator[tuple[str, Any]]:
    """Give each feature and where it is."""
    cursor, number, rest = Cursor(file, read), 0, {}
    try:
        if cursor.peek() == "\x1e":
            raise NotJSON("one feature a line, each after a record separator: name the file .geojsonl")
        cursor.take("{")
        while not cursor.took("}"):
            if cursor.peek() != '"':
                cursor.fail("expected a key")
            key = cursor.value()
            cursor.take(":")
            if key == "features" and cursor.took("["):
                while not cursor.took("]"):
                    number += 1
                    yield f"{path.name}, feature {number}", cursor.value()
                    if cursor.peek() != "]":
                        cursor.take(",")
            else:
                rest[key] = cursor.value()
            if cursor.peek() != "}":
                cursor.take(",")
        if rest.get("type") == "Feature":
            yield f"{path.name}, feature 1", rest
        elif rest.get("type") != "FeatureCollection":
            raise NotJSON(f"type {rest.get('type')!r} is neither FeatureCollection nor Feature")
        if cursor.peek():
            cursor.fail("text after the end; if there is one feature a line, name the file .geojsonl")
    except NotJSON as error:
        after = f" after feature {number}" if number else ""
        raise Stopped(f"{path} cannot be read{after}: {error}") from None


def _lines(file: BinaryIO, path: Path, problems: Problems, read: Callable[[int], None]) -> Iterator[tuple[str, Any]]:
    """Give each feature of a file with one a line; record separators before them (RFC 8142) are taken away."""
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        read(len(line))
        where = f"{path.name}, line {number}"
        if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            raise Stopped(f"{where} is longer than {_LONGEST_LINE:,} bytes; is there one feature a line?")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip(" \t\r\n\x1e")
            feature = decoder.decode(text) if text else None
        except RecursionError:
            problems.wrong("lines that are not JSON", f"{where}: nested too deeply")
        except ValueError as error:
            problems.wrong("lines that are not JSON", f"{where}: {'not UTF-8' if isinstance(error, UnicodeDecodeError) else error}")
        else:
            if text:
                yield where, feature


def _item(where: str, feature: Any, keys: Keys, layer: str, seen: Seen, problems: Problems) -> Item | None:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        problems.wrong(_UNFIT, f"{where}: not an object whose type is Feature")
        return None
    properties = feature.get("properties")
    if not isinstance(properties, dict):
        properties = {}
    given = _id(feature.get("id") if keys.id is None else properties.get(keys.id))
    if given is None:
        missing = "it has no `id`; --id KEY names the property that is one" if keys.id is None else f"its property `{keys.id}` is no id"
        problems.wrong(_UNFIT, f"{where}: {missing}")
        return None
    where = f"{where} (id {given})"
    geometry = feature.get("geometry")
    if not isinstance(geometry, dict):
        problems.wrong(_UNFIT, f"{where}: it has no geometry, so it has no place")
        return None
    if not seen.add(layer, given, where, problems):
        return None
    node = {"id": given, "geom": geometry, "data": _flat(properties, where, problems)}
    name = properties.get(keys.name)
    if isinstance(name, str) and name:
        node["name"] = name
    return Item(_NODE, node, where)


def _id(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value.is_integer() else None
    return str(value) if isinstance(value, int) else value if isinstance(value, str) and value.strip() else None


def _flat(properties: Mapping[str, Any], where: str, problems: Problems) -> dict[str, Any]:
    """Return the data of a record, which is flat: what is not a scalar becomes its JSON text."""
    found = dict(properties)
    for key, value in properties.items():
        if isinstance(value, dict | list):
            problems.note("values that are objects or lists", f"{where}: `{key}` is not a single value; it is kept as JSON text")
            found[key] = encode(value).decode()
    return found
