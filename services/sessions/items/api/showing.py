"""Answers of the lists of a session, in all their formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from flask import Blueprint, Response

from services.sessions import rendering, web
from services.sessions.items.rules import formats
from services.sessions.items.rules.places import Place

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


def rows(
    title: str,
    found: Sequence[Mapping[str, Any]],
    type_name: str,
    place: Callable[[], Place] | None = None,
    links: Mapping[str, str] | None = None,
) -> Response:
    """Answer with items. type_name: of each, in TJSON. place: finds the map of items with outlines, which GEOJSON shows; None: they have
    none. Raises Refusal 406.
    """
    data = _DATA if place is None else (*_DATA, web.GEOJSON)
    chosen = web.chosen(web.HTML, *data)
    if chosen == web.HTML:
        return rendering.data(title, found, formats=data, links=links)
    return _as_data(chosen, found, type_name, place)


def row(
    title: str,
    found: Mapping[str, Any],
    type_name: str,
    place: Callable[[], Place] | None = None,
    links: Mapping[str, str] | None = None,
) -> Response:
    """Answer with one item; as `rows`."""
    data = _DATA if place is None else (*_DATA, web.GEOJSON)
    chosen = web.chosen(web.HTML, *data)
    if chosen == web.HTML:
        return rendering.data(title, found, formats=data, links=links)
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
