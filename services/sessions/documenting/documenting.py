"""The OpenAPI document: of events as they describe themselves, of other addresses as `ROUTES` tells. Aliases are left out.

A test compares both with the addresses that the application has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apispec import APISpec
from flask import Flask

from services.sessions import levels
from services.sessions.documenting.routes import BODIES, ROUTES, Route
from services.sessions.events import sets
from services.sessions.events.events import Event, EventSet, signature

Security = dict[str, list[str]]

_TEXT: Final = {"text/plain": {"schema": {"type": "string"}}, "text/html": {"schema": {"type": "string"}}}
_F: Final = {
    "in": "query",
    "name": "f",
    "description": "Format of the answer; goes before Accept. Without either a page.",
}
_TOKEN: Final[tuple[Security, ...]] = ({"sessionToken": []}, {"sessionToken": [], "clientToken": []})
_LOGIN: Final[tuple[Security, ...]] = ({"basic": []}, {"bearer": []})


@dataclass(frozen=True, slots=True)
class _Refused:
    """A status with which an address says no. name: of the component."""

    status: str
    name: str
    description: str


_REFUSED: Final = (
    _Refused("400", "BadRequest", "`INVALID_REQUEST: …` says what is wrong and where. `INSUFFICIENT_RIGHTS`, `INVALID_TOKEN`, "
             "`CLIENT_RELEASED` have 403, 401 or 404, 410 instead where the installation has `strict_status=modern`."),
    _Refused("401", "LogInNeeded", "No credential, or a wrong one; the text says why."),
    _Refused("404", "NotThere", "There is no such thing, or not for this user."),
    _Refused("409", "InTheWay", "What stands in the way, as a sentence."),
    _Refused("503", "Busy", "Full, or a neighbour is away. `Retry-After` says when to try again."),
    _Refused("default", "Refused", "Why not, as plain text, or as a page for a browser."),
)  # fmt: skip
_DETAIL: Final = {
    "description": "The original's own number: 403 rights, 495 client released, 497 session ended, 498 token, 598 fair use, 599 full.",
    "schema": {"type": "string"},
}


def register(app: Flask) -> None:
    """Let the application write its document when it is first asked for."""
    app.extensions["api"].add(_write)


def event_path(found: EventSet, event: Event) -> str:
    """Return the primary address of an event."""
    begin = "/api/services" if found in sets.ROOT else "/api/session"
    return f"{begin}/event/{found.names[0]}/{event.name}/"


def body_schema(event: Event) -> dict[str, Any]:
    """Return the JSON Schema of an event's body: a list by position, or an object by name."""
    items = [{**_schema_of(one.kind.schema, one.optional), "title": one.name, "description": one.help} for one in event.parameters]
    least = max((place + 1 for place, one in enumerate(event.parameters) if not one.optional), default=0)
    by_position = {"type": "array", "minItems": least, "maxItems": len(items)}
    if items:
        by_position["prefixItems"] = items
    by_name = {
        "type": "object",
        "properties": {one.name: item for one, item in zip(event.parameters, items, strict=True)},
        "required": [one.name for one in event.parameters if not one.optional],
        "additionalProperties": False,
    }
    return {"anyOf": [by_position, by_name]}


def _write(spec: APISpec) -> None:
    spec.components.security_scheme("basic", {"type": "http", "scheme": "basic", "description": "Name and password, or login key."})
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "description": "A token of auth."})
    spec.components.security_scheme("sessionToken", {"type": "apiKey", "in": "header", "name": "token"})
    spec.components.security_scheme("clientToken", {"type": "apiKey", "in": "header", "name": "clientToken"})
    for refused in _REFUSED:
        spec.components.response(
            refused.name, {"description": refused.description, "content": _TEXT, "headers": {"X-Status-Detail": _DETAIL}}
        )
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = _route(route)
    for found in (*sets.ROOT, *sets.IN_SESSION):
        spec.tag({"name": found.names[0], "description": found.title})
        for event in found:
            paths[event_path(found, event)] = {"post": _event(found, event)}
    spec.options["paths"] = paths


def _route(route: Route) -> dict[str, Any]:
    by_query = tuple(one for one in route.formats if one != "STREAM")  # a stream is asked for by the Accept header
    parameters = [_asked(by_query)] if len(by_query) > 1 else []
    parameters += [{"in": "path", "required": True, **one} for one in route.places]
    parameters += [{"in": "query", **one} for one in route.query]
    answers = {"200": {"description": "OK", "content": _content(route.formats, route.answer)}}
    answers |= {status: {"description": text} for status, text in route.others.items()}
    described: dict[str, Any] = {"summary": route.summary, "tags": [route.tag], "parameters": parameters}
    if route.body is not None:
        described["requestBody"] = {"required": False, "content": {"application/json": {"schema": route.body}}}
    if route.who:
        described["security"] = list(_LOGIN if route.who == "user" else _TOKEN)
    left_out = {"409"} if route.who else {"401", "404", "409"}
    return described | {"responses": answers | _refusals(route.who == "user", left_out)}


def _event(found: EventSet, event: Event) -> dict[str, Any]:
    root = found in sets.ROOT
    summary, _, more = event.description.partition("\n")
    notes = [more.strip()] if more.strip() else []
    notes.append(
        f"Needs the level {event.level}." if event.level != levels.JOIN_ONLY or root else "For everybody with the session's token."
    )
    notes.append(f"Values: `[{signature(event)}]`." if event.parameters else "No values.")
    if len(event.names) > 1:
        notes.append(f"Also called {', '.join(f'`{name}`' for name in event.names[1:])}.")
    notes.append("GET answers a browser with a form.")
    if event.by_get:
        notes.append(f"Under the address `/api/event/{found.names[-1]}/{event.name.lower()}/` GET with `f=JSON` fires it, too.")
    return {
        "summary": summary,
        "description": " ".join(notes),
        "operationId": f"{found.names[0]}.{event.name}",
        "tags": [found.names[0]],
        "parameters": [_asked(("HTML", "JSON"))],
        "security": list(_LOGIN if root else _TOKEN),
        "requestBody": {"required": bool(event.parameters), "content": {"application/json": {"schema": body_schema(event)}}},
        "responses": {"200": {"description": "OK", "content": _content(("HTML", "JSON"), event.answer)}} | _refusals(root),
    }


def _refusals(root: bool, left_out: Iterable[str] = ()) -> dict[str, Any]:
    return {
        one.status: {"$ref": f"#/components/responses/{one.name}"}
        for one in _REFUSED
        if one.status not in left_out and (root or one.status not in ("401", "503"))
    }


def _asked(formats: tuple[str, ...]) -> dict[str, Any]:
    return {**_F, "schema": {"type": "string", "enum": list(formats)}}


def _content(formats: tuple[str, ...], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a body in each of its formats. TJSON is JSON whose items are wrapped, so `schema` must allow it where it is offered."""
    return {BODIES[name][0]: {"schema": dict(schema if name == "JSON" else BODIES[name][1])} for name in formats if name != "TJSON"}


def _schema_of(schema: Mapping[str, Any], optional: bool) -> dict[str, Any]:
    return {"anyOf": [dict(schema), {"type": "null"}]} if optional else dict(schema)
