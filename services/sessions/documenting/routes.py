"""The addresses of the API that are not events, for its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from services.sessions import levels

TEXT: Final = {"type": "string"}
# media type and schema of each format besides JSON's
BODIES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "HTML": ("text/html", TEXT),
    "JSON": ("application/json", {}),
    "CSV": ("text/csv", TEXT),
    "STREAM": ("text/event-stream", TEXT),
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
_ITEM: Final = {"name": "item_id", "schema": {"type": "integer", "minimum": 0}, "description": "Id of an item."}
_PROJECT: Final = {"name": "name", "schema": {"type": "string", "minLength": 1}, "description": "Name of a project."}
_OBJECT: Final = {"type": "object"}
_OBJECTS: Final = {"type": "array", "items": _OBJECT}
_INFO: Final = {
    "type": "object",
    "required": ["id", "clientID", "level"],
    "properties": {
        "id": {"type": "integer", "description": "Of the session."},
        "clientID": {"type": ["integer", "null"], "description": "Of the client that asks; null without a client token."},
        "level": {
            "type": "string",
            "enum": list(levels.ALL),
            "description": "With which it fires events; JOIN_ONLY without a client token.",
        },
    },
}
_NUMBER: Final = {"type": "integer", "minimum": 0}
_PAGE: Final = ("HTML",)
_WITH_GEOMETRY: Final = ("HTML", "JSON", "TJSON", "CSV", "GEOJSON")
_AREAS: Final = {
    "anyOf": [
        {"type": "object", "required": ["type", "features"], "properties": {"type": {"const": "FeatureCollection"}, "features": _OBJECTS}},
        {"type": "array", "description": "Polygons."},
    ]
}
_KNOWN: Final = {
    "type": "object",
    "additionalProperties": {"type": "integer"},
    "description": "The version that is known, by the name of a list; -1 asks for all. Left out: all lists.",
}
_CHANGES: Final = {
    "type": "object",
    "required": ["items", "deletes", "timeStamp"],
    "properties": {
        "items": {"type": "object", "additionalProperties": _OBJECTS},
        "deletes": {"type": "object", "additionalProperties": {"type": "array"}},
        "timeStamp": {"type": "integer", "description": "Milliseconds since 1970."},
    },
}
_FORCE: Final = {"name": "force", "schema": {"type": "boolean"}, "description": "Ask for all, whatever is known."}
_TIMEOUT: Final = {
    "name": "timeout",
    "schema": {"type": "integer", "minimum": 0, "maximum": 25},
    "description": "Seconds; 20 if left out.",
}
_CELL: Final = {"name": "cell", "schema": {"type": "number", "minimum": 1}, "description": "Metres of a side; 100 when it is left out."}
_CRS: Final = {"name": "crs", "schema": {"type": "string", "enum": ["local", "wgs84"]}, "description": "Metres on the map, or degrees."}

_ROOT: Final = (
    Route("/api/", "Where the API begins.", "root", "user", formats=_PAGE),
    Route("/api/services/", "What lies outside of sessions.", "root", "user", formats=_PAGE),
    Route("/api/slots/", "How sessions are reached by their numbers.", "root", "user", formats=_PAGE),
    Route("/api/services/event/", "The sets of events at the root.", "root", "user", formats=_PAGE),
    Route("/api/services/event/{set_name}/", "The events of a set.", "root", "user", formats=_PAGE, places=(_SET,)),
    Route("/api/services/sessions/", "The sessions that the user may join.", "root", "user", _OBJECTS),
    Route("/api/services/projects/", "The projects that the user may see.", "root", "user", _OBJECTS),
    Route("/api/services/projects/{name}/", "A project.", "root", "user", _OBJECT, places=(_PROJECT,)),
    Route("/api/services/projects/{name}/location/", "Size and place of a project's map.", "root", "user", _OBJECT, places=(_PROJECT,)),
    Route("/api/services/myuser/", "The own user.", "root", "user", _OBJECT),
    Route("/api/services/mydomain/", "The own domain.", "root", "user", _OBJECT),
    Route("/test/", "Name and version of the server.", "root", "", {"type": "array", "items": {"type": "string"}}, formats=("JSON",)),
)
_SESSION: Final = (
    Route("/api/session/", "The session, its lists, and where all else is found.", "session", "session", _OBJECT),
    Route("/api/session/event/", "The sets of events of a session.", "session", "session", formats=_PAGE),
    Route("/api/session/event/{set_name}/", "The events of a session.", "session", "session", formats=_PAGE, places=(_SET,)),
    Route("/api/session/info/", "The session, and which of its clients asks.", "session", "session", _INFO),
    Route("/api/session/clients/", "Who is in the session, and who was.", "session", "session", _OBJECTS),
    Route("/api/session/location/", "Size of the map, and where it is on Earth.", "session", "session", _OBJECT),
    Route("/api/session/map/", "The session on a map, live.", "session", "session", formats=_PAGE),
    Route("/api/session/resettimeout/", "Count as activity of the client.", "session", "session", method="post"),
    Route("/api/session/resettimeout/", "The form for it.", "session", "session", formats=_PAGE),
)
_LISTS: Final = (
    Route("/api/session/items/", "The lists, each with its size and version.", "items", "session"),
    Route("/api/session/items/{name}/", "The items of a list.", "items", "session", _OBJECTS, formats=_WITH_GEOMETRY, places=(_LIST,)),
    Route("/api/session/items/{name}/size/", "How many items a list has.", "items", "session", _NUMBER, places=(_LIST,)),
    Route("/api/session/items/{name}/version/", "The version of a list's newest change.", "items", "session", _NUMBER, places=(_LIST,)),
    Route("/api/session/items/{name}/{item_id}/", "An item.", "items", "session", _OBJECT, formats=_WITH_GEOMETRY, places=(_LIST, _ITEM)),
    Route(
        "/api/session/density/", "How densely each square of a grid over the map is built on.", "items", "session", _OBJECTS,
        formats=_WITH_GEOMETRY, query=(_CELL,),
    ),
    Route(
        "/api/session/density/", "How densely areas are built on. Changes nothing.", "items", "session", _OBJECTS,
        method="post", formats=_WITH_GEOMETRY, query=(_CRS,), body=_AREAS,
    ),
    Route(
        "/api/session/update/", "Wait for what is newer in these lists. With `Accept: text/event-stream` a stream.", "items", "session",
        _CHANGES, method="post", query=(_TIMEOUT, _FORCE), body=_KNOWN, others={"204": "Nothing came: ask again."},
    ),
    Route(
        "/api/session/update/", "With `Accept: text/event-stream` a stream, for `EventSource`, versions by name in the query; else a form.",
        "items", "session", formats=("HTML", "STREAM"), query=(_FORCE,),
    ),
)  # fmt: skip
ROUTES: Final = (*_ROOT, *_SESSION, *_LISTS)
