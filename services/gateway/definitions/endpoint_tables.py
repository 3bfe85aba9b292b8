"""Tables of endpoints from the entries of a version's `extended_paths`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from services.gateway.definitions.model import Version
from services.gateway.routing.endpoints import Endpoint, EndpointTable
from services.gateway.routing.patterns import translate

Value = TypeVar("Value")


def endpoint_table(version: Version, entries: Iterable[tuple[str, str, Value]], default: Value) -> EndpointTable[Value]:
    """Build the table of some entries: (path, method, value), a method of "" = every method."""
    return EndpointTable(
        [
            Endpoint(translate(path, version.path_matching, version.ignore_endpoint_case), (method,) if method else None, value)
            for path, method, value in entries
        ],
        default,
    )
