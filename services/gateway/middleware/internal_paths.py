"""Closes paths to clients that only other APIs of the gateway may call.

What another API, or the same one, sends on by `tyk://` gets in. A path with `%2F` or `%5C` is closed when any of its readings is.

Fields:
* `versions.*.extended_paths.internal` (2.9): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.internal[].path` (2.9, required): A pattern, as in path_lists.
* `versions.*.extended_paths.internal[].method` (2.9): The method that the entry applies to; empty = every method. Differs: In Tyk an entry
  without a method closes nothing.
* `versions.*.extended_paths.internal[].disabled` (4.1): Leaves the entry out.
Refusals: endpoint-forbidden.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Version
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.refusals import ENDPOINT_FORBIDDEN, Refusal
from services.gateway.routing.endpoints import EndpointTable


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those that have entries, each with them: (path, method), a method of "" = every method."""

    versions: tuple[tuple[Version, tuple[tuple[str, str], ...]], ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the entries; None when no version has any."""
    versions = reader.entries("internal", lambda version, entry: (version.path(entry), version.method(entry)))
    return Spec(versions) if versions else None


def build(spec: Spec, ports: Ports) -> InternalPaths:
    """Build a table of endpoints for each version."""
    return InternalPaths(
        {version.name: endpoint_table(version, [(*entry, True) for entry in entries], False) for version, entries in spec.versions}
    )


class InternalPaths:
    """Refuses what an entry matches."""

    __slots__ = ("_tables",)

    def __init__(self, tables: dict[str, EndpointTable[bool]]) -> None:
        self._tables = tables

    def on_request(self, exchange: Exchange) -> None:
        table = self._tables.get(exchange.version_name)
        if table is not None and table.find_any(exchange.method, exchange.relative):
            raise Refusal(ENDPOINT_FORBIDDEN, detail="Only other APIs of the gateway may call this path.")
