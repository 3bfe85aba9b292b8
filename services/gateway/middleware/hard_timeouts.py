"""Gives single endpoints less or more time for their answer than the rest of the API.

The time is that until the first byte of the upstream's answer; connecting may not take longer either. When it is over, the gateway answers
upstream-timeout.

Fields:
* `versions.*.extended_paths.hard_timeouts` (1.8): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.hard_timeouts[].path` (1.8, required): A pattern, as in path_lists.
* `versions.*.extended_paths.hard_timeouts[].method` (1.8): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.hard_timeouts[].timeout` (1.8, required): Seconds. Differs: Fractions count; 0 is a mistake.
* `versions.*.extended_paths.hard_timeouts[].disabled` (4.1): Leaves the entry out.
Refusals: none of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import ProxyTimeouts, Version
from services.gateway.definitions.reader import Mistake, Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange, Timeouts
from services.gateway.ports import Ports
from services.gateway.routing.endpoints import EndpointTable

_DEFAULTS: Final = ProxyTimeouts()
# The texts for a default and for another value, shared by all definitions: there may be thousands.
_SET_BY: Final = {
    field: (f"the default of `proxy.timeouts.{field}`", f"set by `proxy.timeouts.{field}`") for field in ("connect", "first_byte", "idle")
}


@dataclass(frozen=True, slots=True)
class HardTimeout:
    """Seconds that an upstream may take for the answer to one endpoint. method "" = every method."""

    path: str
    method: str
    timeout: float


@dataclass(frozen=True, slots=True)
class Spec:
    """usual: the times of the API. versions: those that have entries, each with them."""

    usual: ProxyTimeouts
    versions: tuple[tuple[Version, tuple[HardTimeout, ...]], ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the entries; None when no version has any."""
    versions = reader.entries("hard_timeouts", _entry)
    return Spec(reader.definition.proxy.timeouts, versions) if versions else None


def _entry(version: VersionReader, reader: Reader) -> HardTimeout:
    seconds = reader.number("timeout", 0, 0, 86400)
    if seconds == 0:
        reader.mistake("timeout", "timeout must be a number of seconds above 0")
    return HardTimeout(version.path(reader), version.method(reader), seconds)


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of entries that never decide."""
    for version in reader.versions:
        yield from version.never_deciding(version.entries("hard_timeouts"))


def build(spec: Spec, ports: Ports) -> HardTimeouts:
    """Build a table of endpoints for each version."""
    usual = usual_timeouts(spec.usual)
    return HardTimeouts({version.name: _table(version, entries, usual) for version, entries in spec.versions})


def usual_timeouts(usual: ProxyTimeouts) -> Timeouts:
    """Return how long the upstream may take where no endpoint says otherwise."""
    connect, first_byte, idle = (
        default if getattr(usual, field) == getattr(_DEFAULTS, field) else chosen for field, (default, chosen) in _SET_BY.items()
    )
    return Timeouts(usual.connect, usual.first_byte, usual.idle, connect, first_byte, idle)


class HardTimeouts:
    """Sets `exchange.timeouts`."""

    __slots__ = ("_tables",)

    def __init__(self, tables: dict[str, EndpointTable[Timeouts | None]]) -> None:
        self._tables = tables

    def on_request(self, exchange: Exchange) -> None:
        table = self._tables.get(exchange.version_name)
        if table is not None:
            timeouts = table.find(exchange.method, exchange.relative)
            if timeouts is not None:
                exchange.timeouts = timeouts


def _table(version: Version, entries: tuple[HardTimeout, ...], usual: Timeouts) -> EndpointTable[Timeouts | None]:
    return endpoint_table(version, [(entry.path, entry.method, _timeouts(entry.timeout, version, usual)) for entry in entries], None)


def _timeouts(limit: float, version: Version, usual: Timeouts) -> Timeouts:
    set_by = f"set by `extended_paths.hard_timeouts` of the version `{version.name}`"
    found = replace(usual, first_byte=limit, first_byte_set_by=set_by)
    return found if usual.connect <= limit else replace(found, connect=limit, connect_set_by=set_by)
