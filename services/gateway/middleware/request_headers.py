"""Sets and removes header fields of requests before they go on to the upstream.

First the fields of the version, then those of the first entry whose path and method match; each removes, then sets. A value may have
variables, which docs/transforms.md lists. What is set takes the place of the client's own field of that name, also where the client wrote
`_` for `-`. `Host` decides which site of the upstream is asked; what frames a message (Content-Length, Connection) is a mistake. A path
with `%2F` or `%5C` has the entry of the first of its readings that has one.

Fields:
* `versions.*.global_headers` (1.5): Header fields to set in every request.
* `versions.*.global_headers_remove` (1.5): Names of header fields to remove from every request.
* `versions.*.global_headers_disabled` (5.2): Switches these two off.
* `versions.*.extended_paths.transform_headers` (1.5): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.transform_headers[].path` (1.5, required): A pattern, as in path_lists.
* `versions.*.extended_paths.transform_headers[].method` (1.5): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.transform_headers[].add_headers` (1.5): Header fields to set. Differs: They replace those of the same name with
  another case, too, and `Host` counts; names and values that cannot be sent are mistakes.
* `versions.*.extended_paths.transform_headers[].delete_headers` (1.5): Names of header fields to remove.
* `versions.*.extended_paths.transform_headers[].act_on` (1.5): Has no effect, as in Tyk.
* `versions.*.extended_paths.transform_headers[].disabled` (4.1): Leaves the entry out.
Refusals: none of its own.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from services.gateway.definitions import values
from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange
from services.gateway.header_changes import HeaderChanges, HeaderTexts, read_rule
from services.gateway.ports import Ports
from services.gateway.routing.endpoints import EndpointTable

Changes = HeaderChanges | None


@dataclass(frozen=True, slots=True)
class Entry:
    """The rule of one endpoint. method "" = every method."""

    path: str
    method: str
    rule: HeaderTexts


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those that change something, each with its rule for all paths and its entries."""

    versions: tuple[tuple[Version, HeaderTexts, tuple[Entry, ...]], ...]
    pass_headers: Set[bytes]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the rules; None when no version has any."""
    versions = [
        (one.version, _overall(one), tuple([_entry(one, each) for each in one.entries("transform_headers")])) for one in reader.versions
    ]
    used = tuple([one for one in versions if any(one[1]) or any(any(entry.rule) for entry in one[2])])
    return Spec(used, reader.definition.proxy.pass_headers) if used else None


def _overall(version: VersionReader) -> HeaderTexts:
    reader = version.reader
    if reader.flag("global_headers_disabled"):
        reader.value("global_headers")
        reader.value("global_headers_remove")
        return HeaderTexts()
    return _rule(reader, "global_headers_remove", "global_headers")


def _entry(version: VersionReader, reader: Reader) -> Entry:
    reader.value("act_on")
    return Entry(version.path(reader), version.method(reader), _rule(reader, "delete_headers", "add_headers"))


def _rule(reader: Reader, removing: str, adding: str) -> HeaderTexts:
    return read_rule(reader, removing, adding, values.dropped_header, values.sent_header)


def build(spec: Spec, ports: Ports) -> RequestHeaders:
    """Build, for each version, one set of changes for each of its endpoints."""
    return RequestHeaders(
        {version.name: _table(version, overall, entries, spec.pass_headers) for version, overall, entries in spec.versions}
    )


class RequestHeaders:
    """By version: what changes everywhere, or the table of its endpoints."""

    __slots__ = ("_versions",)

    def __init__(self, versions: dict[str, Changes | EndpointTable[Changes]]) -> None:
        self._versions = versions

    def on_request(self, exchange: Exchange) -> None:
        changes = self._versions.get(exchange.version_name)
        if isinstance(changes, EndpointTable):
            changes = changes.find_any(exchange.method, exchange.relative)
        if changes is not None:
            changes.apply_to_request(exchange)


def _table(
    version: Version, overall: HeaderTexts, entries: tuple[Entry, ...], pass_headers: Set[bytes]
) -> Changes | EndpointTable[Changes]:
    everywhere = HeaderChanges((overall,), pass_headers) if any(overall) else None
    if not entries:
        return everywhere
    changes = [(one.path, one.method, HeaderChanges((overall, one.rule), pass_headers)) for one in entries]
    return endpoint_table(version, changes, everywhere)
