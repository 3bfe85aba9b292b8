"""Answers of the lists of a session, in all their formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from flask import Blueprint, Response

from services.sessions import web
from services.sessions.events.events import Event
from services.sessions.events.sets import SESSION
from services.sessions.items.rules import formats, lists
from services.sessions.items.rules.places import Place
from services.sessions.pages import rendering

View = TypeVar("View", bound=Callable[..., Any])
_DATA: Final = (web.JSON, web.TJSON, web.CSV)


def get(blueprint: Blueprint, path: str) -> Callable[[View], View]:
    """Add a view of a session under its addresses of both generations; `slot` is the id in the older one. path: from the session's."""

    def decorate(view: View) -> View:
        view = blueprint.get(f"/api/session{path}", defaults={"slot": None})(view)
        return blueprint.get(f"/api/slots/<int:slot>{path}")(view)

    return decorate


def base(slot: int | None) -> str:
    """Return the address of the session, as the request names it."""
    return "/api/session/" if slot is None else f"/api/slots/{slot}/"


def events_of(name: str, slot: int | None) -> list[tuple[Event, str]]:
    """Return the events that change a list, each with its path: those whose names begin as its type. name: of the list."""
    start = f"{base(slot)}event/{SESSION.names[0]}/"
    return [(one, f"{start}{one.name}/") for one in SESSION if one.name.startswith(lists.type_of(name).upper())]


def rows(
    title: str,
    found: Sequence[Mapping[str, Any]],
    type_name: str,
    place: Callable[[], Place] | None = None,
    events: Sequence[tuple[Event, str]] = (),
) -> Response:
    """Answer with items. Raises Refusal 406.

    type_name: of each, in TJSON. place: finds the map of items with outlines, which GEOJSON shows; None: they have none. events: that may
    be fired from the page, each with its path.
    """
    data = _DATA if place is None else (*_DATA, web.GEOJSON)
    chosen = web.chosen(web.HTML, *data)
    if chosen == web.HTML:
        return rendering.data(title, found, formats=data, events=events)
    return _as_data(chosen, found, type_name, place)


def row(
    title: str,
    found: Mapping[str, Any],
    type_name: str,
    place: Callable[[], Place] | None = None,
) -> Response:
    """Answer with one item; as `rows`."""
    data = _DATA if place is None else (*_DATA, web.GEOJSON)
    chosen = web.chosen(web.HTML, *data)
    if chosen == web.HTML:
        return rendering.data(title, found, formats=data)
    if chosen == web.JSON:
        return web.answer(found)
    if chosen == web.TJSON:
        return web.answer(formats.typed(type_name, [found])[0])
    return _as_data(chosen, [found], type_name, place)


def _as_data(chosen: str, found: Sequence[Mapping[str, Any]], type_name: str, place: Callable[[], Place] | None) -> Response:
    if chosen == web.TJSON:
        return web.answer(formats.typed(type_name, found))
    if chosen == web.CSV:
        return Response(formats.to_csv(found), content_type="text/csv; charset=utf-8")
    if chosen == web.GEOJSON and place is not None:
        answer = web.answer(formats.to_geojson(found, place()))
        answer.content_type = "application/geo+json"
        return answer
    return web.answer(found)
