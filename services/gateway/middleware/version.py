"""Finds out which version of an API a request asks for, and refuses versions that do not exist or have ended.

An API that is `not_versioned` has one version, which can end, too. With the location `url` the version is the first segment after the
listen path, and path lists see what follows it; a path is refused when another version would own it once `%2F` or `%5C` is read as a slash.

Fields:
* `definition.location` (1.3): Where a request names its version: a header, a query parameter, or the first segment after the listen path.
  `url` came with 2.x. Differs: Another value is a mistake, and an absent one is `header`; Tyk then finds no version.
* `definition.key` (1.3): The name of the header or the query parameter. It is required for these two, unless there is a default version.
  Differs: A parameter is looked for in the query only, as in 3.1; 1.4 also looks in a form.
* `definition.strip_path` (2.7): With `url`, takes the version off the path that the upstream sees.
* `definition.strip_versioning_data` (4.1): With `url`, the same as `strip_path`. Differs: For a header or a parameter it has no effect and
  gives a warning; Tyk removes the header or the parameter.
* `definition.fallback_to_default` (5.3): The default version serves requests for an unknown version.
* `version_data.default_version` (2.5): The version that serves requests that name none; it must be in `versions`.
Refusals: version-missing, version-unknown, version-expired, not-found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from services.gateway.definitions import field_names, values
from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.refusals import NOT_FOUND, VERSION_EXPIRED, VERSION_MISSING, VERSION_UNKNOWN, Refusal
from services.gateway.routing.named_segments import count_segments, end_of
from services.gateway.routing.paths import matching_form, slash_readings
from services.gateway.routing.query import parameter

Location = Literal["header", "url-param", "url"]
_LOCATIONS: Final[tuple[Location, ...]] = ("header", "url-param", "url")


@dataclass(frozen=True, slots=True)
class Spec:
    """key: the name of the header or parameter. strip: whether the upstream sees the path without the version. ends: epoch seconds by
    version, None = never.
    """

    location: Location
    key: str
    strip: bool
    default: str
    fallback: bool
    ends: Mapping[str, float | None]
    listen_path: str
    strip_listen_path: bool


def fields(reader: DefinitionReader) -> Spec | Version:
    """Read where versions are named. Every API uses it: of one that is not versioned, the end of its only version counts."""
    definition = reader.definition
    placing = reader.object("definition", field_names.VERSIONING)
    default = reader.version_data.text("default_version")
    if default and default not in definition.versions:
        reader.version_data.mistake("default_version", f"default_version `{default}` is not among the versions")
    spec = Spec(
        _location(placing, definition.not_versioned, bool(default)),
        placing.text("key"),
        # Elsewhere `strip_versioning_data` is not served; left unread, it gives a warning.
        placing.flag("strip_path") or (placing.text("location") == "url" and placing.flag("strip_versioning_data")),
        default,
        placing.flag("fallback_to_default"),
        {name: version.expires for name, version in definition.versions.items()},
        definition.proxy.listen_path,
        definition.proxy.strip_listen_path,
    )
    return definition.unversioned() if definition.not_versioned else spec


def _location(placing: Reader, not_versioned: bool, has_default: bool) -> Location:
    if not_versioned and not placing.text("location"):
        return "header"
    location = placing.choice("location", _LOCATIONS, "header")
    if not not_versioned and location != "url" and not has_default and not placing.text("key"):
        placing.mistake(
            "key", "key is empty, so no request could name its version; an API without versions says so with `not_versioned: true`"
        )
    if not not_versioned and location == "header" and placing.text("key") and not values.TOKEN.fullmatch(placing.text("key")):
        placing.mistake("key", f"`{placing.text('key')}` is not a header name, so no request could name its version")
    return location


def build(spec: Spec | Version, ports: Ports) -> VersionCheck | OnlyVersion:
    """Build the check with its clock."""
    return VersionCheck(spec, ports.now) if isinstance(spec, Spec) else OnlyVersion(spec, ports.now)


class VersionCheck:
    """Sets `exchange.version_name`; with `url` also `relative` and, when it is stripped, `upstream_path`."""

    __slots__ = ("_default", "_ends", "_fallback", "_find", "_missing", "_named_segments", "_now", "_prefix", "_strip", "_unknown")

    def __init__(self, spec: Spec, now: Callable[[], float]) -> None:
        key = spec.key
        header = key.lower().encode("latin-1", "replace")
        finders: dict[str, Callable[[Exchange], str | None]] = {
            "header": lambda exchange: _header(exchange, header),
            "url-param": lambda exchange: parameter(exchange.query, key),
            "url": _first_segment,
        }
        places = {
            "header": f"the header `{key}`",
            "url-param": f"the query parameter `{key}`",
            "url": "the first segment after the listen path",
        }
        place = places[spec.location]
        self._missing = f"Name the version in {place}."
        self._unknown = f"The API has no version with the name in {place}."
        self._ends = spec.ends
        self._now = now
        self._fallback = spec.default if spec.fallback else ""
        self._default = spec.default
        self._find: Callable[[Exchange], str | None] = finders[spec.location]
        self._strip = spec.location == "url"
        # What the upstream path begins with when the version is cut out; None = the upstream sees the version.
        kept = "" if spec.strip_listen_path else spec.listen_path[:-1]
        self._prefix = kept if spec.strip else None
        self._named_segments = count_segments(spec.listen_path) if kept else 0

    def on_request(self, exchange: Exchange) -> None:
        name = self._find(exchange)
        found = True
        if not name:
            found = False
            name = self._default
            if not name:
                raise Refusal(VERSION_MISSING, detail=self._missing)
        elif name not in self._ends:
            found = False
            name = self._fallback
            if not name:
                raise Refusal(VERSION_UNKNOWN, detail=self._unknown)
        end = self._ends[name]
        if end is not None and self._now() >= end:
            raise Refusal(VERSION_EXPIRED)
        exchange.version_name = name
        if self._strip and "%" in exchange.relative:
            self._check_readings(exchange.relative, name if found else "")
        if found and self._strip:
            _, _, rest = exchange.relative[1:].partition("/")
            exchange.relative = "/" + rest
            if self._prefix is not None:
                prefix = exchange.path[: end_of(exchange.path, self._named_segments)] if self._named_segments else self._prefix
                exchange.upstream_path = prefix + exchange.relative

    def _check_readings(self, relative: str, found: str) -> None:
        """Raise Refusal(not-found) when another reading of the path has another version, or leaves it. found: "" = none was named."""
        _, _, rest = relative[1:].partition("/")
        try:
            slash_readings(f"/{rest}" if found else relative)
        except Refusal:
            raise Refusal(NOT_FOUND) from None
        for reading in slash_readings(relative):
            name = _first_segment_of(reading)
            if (name if name in self._ends else "") != found:
                raise Refusal(NOT_FOUND)


class OnlyVersion:
    """The one version of a `not_versioned` API."""

    __slots__ = ("_end", "_name", "_now")

    def __init__(self, version: Version, now: Callable[[], float]) -> None:
        self._name = version.name
        self._end = version.expires
        self._now = now

    def on_request(self, exchange: Exchange) -> None:
        if self._end is not None and self._now() >= self._end:
            raise Refusal(VERSION_EXPIRED)
        exchange.version_name = self._name


def _header(exchange: Exchange, name: bytes) -> str | None:
    value = exchange.section.value(name)
    return None if value is None else value.decode("latin-1").strip()


def _first_segment(exchange: Exchange) -> str:
    return _first_segment_of(exchange.relative)


def _first_segment_of(path: str) -> str:
    return matching_form(path[1:].partition("/")[0])
