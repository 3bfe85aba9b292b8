"""Refuses bodies above the size that a version allows, before any of it is read.

Fields: `versions.*.global_size_limit`, `versions.*.extended_paths.size_limits` (path, method, size_limit), in bytes. Both hold. A chunked
body has no length to compare: where the limit is the one that is counted while the body streams (`CompiledApi.body_limit`) it may
start, otherwise the client is asked for a length, as Tyk does. A path with `%2F` or `%5C` has the smallest limit of its readings.
Refusals: body-too-large, length-required.
"""

from __future__ import annotations

from services.gateway.definitions.model import Definition, Version
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.refusals import BODY_TOO_LARGE, LENGTH_REQUIRED, Refusal
from services.gateway.routing.endpoints import Endpoint, EndpointTable
from services.gateway.routing.paths import matching_forms
from services.gateway.routing.patterns import translate


def body_limit(definition: Definition) -> int | None:
    """The size at which a streamed body is cut off: the largest that any version allows, None when one allows all."""
    versions = (definition.unversioned(),) if definition.not_versioned else definition.versions.values()
    limits = [version.global_size_limit for version in versions]
    return max(limits) if limits and all(limits) else None


class SizeLimits:
    """By version: the limit for all paths (0 = none), and the table of single paths."""

    __slots__ = ("_streamed", "_versions")

    def __init__(self, versions: dict[str, tuple[int, EndpointTable[int] | None]], streamed: int | None) -> None:
        self._versions = versions
        self._streamed = streamed

    @classmethod
    def from_definition(cls, definition: Definition, ports: Ports) -> SizeLimits | None:
        versions = {
            name: (version.global_size_limit, _table(version))
            for name, version in definition.versions.items()
            if version.global_size_limit or version.size_limits
        }
        return cls(versions, body_limit(definition)) if versions else None

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


def _table(version: Version) -> EndpointTable[int] | None:
    if not version.size_limits:
        return None
    endpoints = [
        Endpoint(
            translate(entry.path, version.path_matching, version.ignore_endpoint_case),
            (entry.method,) if entry.method else None,
            entry.limit,
        )
        for entry in version.size_limits
    ]
    return EndpointTable(endpoints, default=0)
