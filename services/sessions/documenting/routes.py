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
_OBJECT: Final = {"type": "object"}
_OBJECTS: Final = {"type": "array", "items": _OBJECT}
_PAGE: Final = ("HTML",)

_ROOT: Final = (
    Route("/api/", "Where the API begins.", "root", "user", formats=_PAGE),
    Route("/api/services/", "What lies outside of sessions.", "root", "user", formats=_PAGE),
    Route("/api/slots/", "How sessions are reached by their numbers.", "root", "user", formats=_PAGE),
    Route("/api/services/event/", "The sets of events at the root.", "root", "user", formats=_PAGE),
    Route("/api/services/event/{set_name}/", "The events of a set.", "root", "user", formats=_PAGE, places=(_SET,)),
    Route("/api/services/sessions/", "The sessions that the user may join.", "root", "user", _OBJECTS),
    Route("/test/", "Whether the server is there.", "root", ""),
)
_SESSION: Final = (
    Route("/api/session/event/", "The sets of events of a session.", "session", "session", formats=_PAGE),
    Route("/api/session/event/{set_name}/", "The events of a session.", "session", "session", formats=_PAGE, places=(_SET,)),
    Route("/api/session/info/", "The session.", "session", "session", _OBJECT),
    Route("/api/session/clients/", "Who is in the session, and who was.", "session", "session", _OBJECTS),
    Route("/api/session/resettimeout/", "Count as activity of the client.", "session", "session", method="post"),
    Route("/api/session/map/", "The session on a map, live.", "session", "session", formats=_PAGE),
    Route("/api/session/items/{name}/", "The items of a list.", "session", "session", _ITEMS, places=(_LIST,)),
)
ROUTES: Final = (*_ROOT, *_SESSION)
