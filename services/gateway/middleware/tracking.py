"""Says which endpoints are to be recorded, and which are not.

Fields:
* `versions.*.extended_paths.track_endpoints` (2.3): Entries for paths that are to be recorded, with `use_extended_paths`.
* `versions.*.extended_paths.track_endpoints[].path` (2.3, required): A pattern, as in path_lists.
* `versions.*.extended_paths.track_endpoints[].method` (2.3): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.track_endpoints[].disabled` (4.1): Leaves the entry out.
* `versions.*.extended_paths.do_not_track_endpoints` (2.3): Entries for paths that are not recorded; they outrank the others.
* `versions.*.extended_paths.do_not_track_endpoints[].path` (2.3, required): A pattern, as in path_lists.
* `versions.*.extended_paths.do_not_track_endpoints[].method` (2.3): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.do_not_track_endpoints[].disabled` (4.1): Leaves the entry out.
Refusals: none of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Version
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.routing.endpoints import EndpointTable

# In the order in which they are tried.
_LISTS: Final = (("do_not_track_endpoints", False), ("track_endpoints", True))


@dataclass(frozen=True, slots=True)
class Entry:
    """Whether one endpoint is recorded. method "" = every method."""

    path: str
    method: str
    tracked: bool


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those that have entries, each with them."""

    versions: tuple[tuple[Version, tuple[Entry, ...]], ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the entries; None when no version has any."""
    versions = [
        (
            one.version,
            tuple([Entry(one.path(entry), one.method(entry), tracked) for name, tracked in _LISTS for entry in one.entries(name)]),
        )
        for one in reader.versions
    ]
    used = tuple([one for one in versions if one[1]])
    return Spec(used) if used else None


def build(spec: Spec, ports: Ports) -> Tracking:
    """Build a table of endpoints for each version."""
    return Tracking(
        {
            version.name: endpoint_table(version, [(one.path, one.method, one.tracked) for one in entries], None)
            for version, entries in spec.versions
        }
    )


class Tracking:
    """Sets `exchange.tracked`."""

    __slots__ = ("_tables",)

    def __init__(self, tables: dict[str, EndpointTable[bool | None]]) -> None:
        self._tables = tables

    def on_request(self, exchange: Exchange) -> None:
        table = self._tables.get(exchange.version_name)
        if table is not None:
            exchange.tracked = table.find(exchange.method, exchange.relative)
