"""The addresses of the API that are not events, for its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

TEXT: Final = {"type": "string"}
# media type and schema of each format besides JSON's
BODIES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "HTML": ("text/html", TEXT),
    "JSON": ("application/json", {}),
    "CSV": ("text/csv", TEXT),
    "GEOJSON": ("application/geo+json", {"type": "object"}),
}
_DATA: Final = ("HTML", "JSON")


@dataclass(frozen=True, slots=True)
class Route:
    """One address with one method. who: `user`, `session` (its token), or empty for everybody. answer: schema of its JSON.
    places, query: parameters in OpenAPI's words. others: further good statuses.
    """

    path: str
    summary: str
    tag: str
    who: Literal["user", "session", ""]
    answer: Mapping[str, Any] = field(default_factory=dict)
    method: Literal["get", "post"] = "get"
    formats: tuple[str, ...] = _DATA
    places: tuple[Mapping[str, Any], ...] = ()
    query: tuple[Mapping[str, Any], ...] = ()
    body: Mapping[str, Any] | None = None
    others: Mapping[str, str] = field(default_factory=dict)


_SET: Final = {"name": "set_name", "schema": {"type": "string", "minLength": 1}, "description": "A set of events, under any of its names."}
_LIST: Final = {"name": "name", "schema": {"type": "string", "minLength": 1}, "description": "Name of a list, in any case."}
_ITEMS: Final = {"type": "array", "items": {"type": "object", "required": ["id", "version"]}}

ROUTES: Final = (
    Route("/api/", "Where the API begins: a page with all that leads on.", "frame", "user", formats=("HTML",)),
    Route("/api/services/event/{set_name}/", "The events of a set at the root.", "frame", "user", formats=("HTML",), places=(_SET,)),
    Route("/api/session/event/{set_name}/", "The events of a session.", "frame", "session", formats=("HTML",), places=(_SET,)),
    Route("/api/session/items/{name}/", "The items of a list.", "session", "session", _ITEMS, places=(_LIST,)),
)
