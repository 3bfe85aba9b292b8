"""Sends requests to some endpoints on with another method.

What a request is judged by stays the client's method. A body goes on unchanged. Where one of the two methods is HEAD and the other is not,
the answer is read as a whole (up to the limit of the gateway) before it goes out, as the one has a body and the other has none. A browser's
preflight that goes on without a key (`cors.options_passthrough`) stays OPTIONS.

Fields:
* `versions.*.extended_paths.method_transforms` (1.9): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.method_transforms[].path` (1.9, required): A pattern, as in path_lists.
* `versions.*.extended_paths.method_transforms[].method` (1.9): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.method_transforms[].to_method` (1.9, required): The method that the upstream gets: GET, HEAD, POST, PUT, PATCH,
  DELETE or OPTIONS, in upper or lower case. Differs: Another one is a mistake, and HEAD is allowed; Tyk refuses the request with 405.
* `versions.*.extended_paths.method_transforms[].disabled` (4.1): Leaves the entry out.
Refusals: none of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.ports import Ports
from services.gateway.routing.endpoints import EndpointTable

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the method of one endpoint becomes. method "" = every method."""

    path: str
    method: str
    to_method: str


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those that have entries, each with them."""

    versions: tuple[tuple[Version, tuple[Entry, ...]], ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the entries; None when no version has any."""
    versions = reader.entries("method_transforms", _entry)
    return Spec(versions) if versions else None


def _entry(version: VersionReader, reader: Reader) -> Entry:
    to_method = reader.text("to_method").upper()
    if to_method not in _METHODS:
        reader.mistake("to_method", f"to_method must be one of {', '.join(_METHODS)}")
    return Entry(version.path(reader), version.method(reader), to_method)


def build(spec: Spec, ports: Ports) -> MethodTransform:
    """Build a table of endpoints for each version."""
    return MethodTransform(
        {
            version.name: endpoint_table(version, [(one.path, one.method, one.to_method) for one in entries], "")
            for version, entries in spec.versions
        }
    )


class MethodTransform:
    """Sets `exchange.upstream_method`."""

    __slots__ = ("_tables",)

    def __init__(self, tables: dict[str, EndpointTable[str]]) -> None:
        self._tables = tables

    def on_request(self, exchange: Exchange) -> None:
        table = self._tables.get(exchange.version_name)
        if table is None:
            return
        if exchange.ignored and exchange.method == "OPTIONS" and b"access-control-request-method" in exchange.fields:
            return  # whatever else it became would be done without a key
        method = table.find_any(exchange.method, exchange.relative)
        if method and method != exchange.method:
            exchange.upstream_method = method
            if "HEAD" in (method, exchange.method):
                exchange.answer_transforms += (_WHOLE,)


class _WholeAnswer:
    """Has an answer read as a whole, so that it is framed for the method of the client."""

    def wants(self, exchange: Exchange, head: ResponseHead) -> bool:
        return True

    def transform(self, exchange: Exchange, head: ResponseHead, body: bytes) -> bytes:
        return body


_WHOLE: Final = _WholeAnswer()
