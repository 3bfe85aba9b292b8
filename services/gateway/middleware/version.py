"""Finds out which version of an API a request asks for, and refuses versions that do not exist or have ended.

Fields: `definition.location` (`header`, `url-param`, `url`), `.key`, `.strip_path`, `.fallback_to_default`; `version_data.not_versioned`,
`.default_version`, `versions.*.expires`. A `not_versioned` API has one version, whose end counts too.
With `url` the version is the first segment after the listen path; path lists see what follows it, and the upstream sees it
unless `strip_path` says otherwise (Tyk). There, a path is refused whose `%2F` or `%5C`, read as a slash, would make it another version's.
Refusals: version-missing, version-unknown, version-expired, not-found.
"""

from __future__ import annotations

from collections.abc import Callable

from services.gateway.definitions.model import Definition, Version
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.refusals import NOT_FOUND, VERSION_EXPIRED, VERSION_MISSING, VERSION_UNKNOWN, Refusal
from services.gateway.routing.named_segments import count_segments, end_of
from services.gateway.routing.paths import matching_form, slash_readings
from services.gateway.routing.query import parameter


class VersionCheck:
    """Sets `exchange.version_name`; with `url` also `relative` and, when it is stripped, `upstream_path`."""

    __slots__ = ("_default", "_ends", "_fallback", "_find", "_missing", "_named_segments", "_now", "_prefix", "_strip", "_unknown")

    def __init__(self, definition: Definition, now: Callable[[], float]) -> None:
        key = definition.version_key
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
        place = places[definition.version_location]
        self._missing = f"Name the version in {place}."
        self._unknown = f"The API has no version of the name that stands in {place}."
        self._ends = {name: version.expires for name, version in definition.versions.items()}
        self._now = now
        self._fallback = definition.default_version if definition.fallback_to_default else ""
        self._default = definition.default_version
        self._find: Callable[[Exchange], str | None] = finders[definition.version_location]
        self._strip = definition.version_location == "url"
        # What the upstream path begins with when the version is cut out; None = the upstream sees the version.
        kept = "" if definition.proxy.strip_listen_path else definition.proxy.listen_path[:-1]
        self._prefix = kept if definition.strip_version else None
        self._named_segments = count_segments(definition.proxy.listen_path) if kept else 0

    @classmethod
    def from_definition(cls, definition: Definition, ports: Ports) -> VersionCheck | OnlyVersion:
        return OnlyVersion(definition.unversioned(), ports.now) if definition.not_versioned else cls(definition, ports.now)

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
        """Raises Refusal(not-found) when another reading of the path has another version, or leaves it. found: "" = none was named."""
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
