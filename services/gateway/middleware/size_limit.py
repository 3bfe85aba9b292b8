"""Refuses bodies above the size that a version allows, before any of it is read.

A body must fit the limit of the version and that of its path. A chunked body does not tell its length in advance: it may start when its
limit is the one that the gateway counts while a body streams: the largest `global_size_limit` of the versions, if all have one. Otherwise
the client is asked for a Content-Length, as in Tyk. A path with `%2F` or `%5C`, which some servers read as a slash, has the smallest limit
of its readings.

Fields:
* `versions.*.global_size_limit` (1.9): The most bytes that a body may have; 0 = no limit. Differs: It holds by itself; up to Tyk 5.0 only
  where a version also has `size_limits`.
* `versions.*.global_size_limit_disabled` (5.8): Switches `global_size_limit` off.
* `versions.*.extended_paths.size_limits` (1.9): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.size_limits[].path` (1.9, required): A pattern, as in path_lists.
* `versions.*.extended_paths.size_limits[].method` (1.9): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.size_limits[].size_limit` (1.9, required): The most bytes that a body may have here. Differs: 0 is a mistake.
* `versions.*.extended_paths.size_limits[].disabled` (5.3): Leaves the entry out.
Refusals: body-too-large, length-required.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Mistake, Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.refusals import BODY_TOO_LARGE, LENGTH_REQUIRED, Refusal
from services.gateway.routing.endpoints import EndpointTable
from services.gateway.routing.paths import matching_forms


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """Bytes that a body sent to one endpoint may have. method "" = every method."""

    path: str
    method: str
    limit: int


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those that limit something, each with its limit for all paths (bytes, 0 = none) and its entries.

    streamed: the size at which a streamed body is cut off: the largest that any version in use allows, None when one allows all.
    """

    versions: tuple[tuple[Version, int, tuple[SizeLimit, ...]], ...]
    streamed: int | None


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the limits; None when no version has any."""
    versions = [
        (one.version, _overall(one), tuple([_entry(one, entry) for entry in one.entries("size_limits")])) for one in reader.versions
    ]
    used = tuple([one for one in versions if one[1] or one[2]])
    if not used:
        return None
    overall = {version.name: limit for version, limit, _ in versions}
    limits = [overall[version.name] for version in reader.definition.in_use()]
    return Spec(used, max(limits) if all(limits) else None)


def _overall(version: VersionReader) -> int:
    reader = version.reader
    return 0 if reader.flag("global_size_limit_disabled") else reader.integer("global_size_limit")


def _entry(version: VersionReader, reader: Reader) -> SizeLimit:
    limit = reader.integer("size_limit")
    if limit == 0:
        reader.mistake("size_limit", "size_limit must be a number of bytes above 0")
    return SizeLimit(version.path(reader), version.method(reader), limit)


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of limits that refuse nothing, since the one of the version is smaller or an entry before takes all requests."""
    for version in reader.versions:
        overall = _overall(version)
        entries = version.entries("size_limits")
        for entry in entries:
            limit = entry.integer("size_limit")
            if 0 < overall < limit:
                yield Mistake(entry.at("size_limit"), f"refuses nothing: global_size_limit of the version allows only {overall} bytes")
        yield from version.never_deciding(entries)


def build(spec: Spec, ports: Ports) -> SizeLimits:
    """Build, for each version, its limit and a table of its endpoints."""
    return SizeLimits({version.name: (limit, _table(version, entries)) for version, limit, entries in spec.versions}, spec.streamed)


class SizeLimits:
    """By version: the limit for all paths (0 = none), and the table of single paths."""

    __slots__ = ("_streamed", "_versions")

    def __init__(self, versions: dict[str, tuple[int, EndpointTable[int] | None]], streamed: int | None) -> None:
        self._versions = versions
        self._streamed = streamed

    def on_request(self, exchange: Exchange) -> None:
        length = exchange.body_length
        if length == 0:
            return
        limit, table = self._versions.get(exchange.version_name, (0, None))
        if table is not None:
            here = _at(table, exchange)
            limit = min(limit, here) if limit and here else limit or here
        if not limit or 0 < length <= limit:
            return
        if length > 0:
            raise Refusal(BODY_TOO_LARGE, detail=f"The body has {length} bytes; {limit} are allowed here.")
        if limit != self._streamed:
            raise Refusal(LENGTH_REQUIRED, detail=f"Send a Content-Length; {limit} bytes are allowed here.")


def _at(table: EndpointTable[int], exchange: Exchange) -> int:
    if "%" not in exchange.relative:
        return table.find_matching(exchange.method, exchange.relative)
    limits = [table.find_matching(exchange.method, form) for form in matching_forms(exchange.relative)]
    return min(filter(None, limits), default=0)


def _table(version: Version, entries: tuple[SizeLimit, ...]) -> EndpointTable[int] | None:
    if not entries:
        return None
    return endpoint_table(version, [(entry.path, entry.method, entry.limit) for entry in entries], 0)
