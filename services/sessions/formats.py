"""Formats of answers, and how a request chooses one: `f` in the query, else the Accept header, else the kind of its body."""

from __future__ import annotations

from typing import Final

from flask import Request

from services.sessions import refusals

HTML, JSON, TJSON, CSV, GEOJSON = "HTML", "JSON", "TJSON", "CSV", "GEOJSON"
# what a program sees in Accept; TJSON has no media type of its own
_TYPES: Final = {HTML: "text/html", JSON: "application/json", CSV: "text/csv", GEOJSON: "application/geo+json"}
_TEXT: Final = "text/plain"


def asked(request: Request) -> str | None:
    """Return what `f` in the query says, in capitals; None when it is not there or empty. Raises Refusal 400 for two that differ."""
    found = {one.upper() for one in request.args.getlist("f") if one}
    if len(found) > 1:
        raise refusals.invalid_request("the address has f more than once; give one format.")
    return next(iter(found), None)


def chosen(request: Request, formats: tuple[str, ...]) -> str:
    """Return the format to answer in. Raises Refusal 400, 406.

    formats: that the address has. A request that takes anything gets a page; one that sends JSON gets JSON.
    """
    wanted = asked(request)
    if wanted is not None:
        if wanted not in formats:
            raise refusals.not_acceptable(formats)
        return wanted
    sends_json = request.method == "POST" and request.mimetype == "application/json"
    first = JSON if sends_json and JSON in formats else HTML
    if "Accept" not in request.headers:
        return first if first in formats else formats[0]
    ranked = max(formats, key=lambda one: (*_liking(request, _TYPES.get(one)), one == first))
    if _liking(request, _TYPES.get(ranked))[0] <= 0:
        raise refusals.not_acceptable(formats)
    return ranked


def wants_page(request: Request) -> bool:
    """Say whether an error is shown as a page: to browsers, unless `f` asks for data. Programs get text."""
    wanted = {one.upper() for one in request.args.getlist("f")}
    if wanted & {HTML, JSON, TJSON, CSV, GEOJSON}:
        return wanted == {HTML}
    return _liking(request, _TYPES[HTML]) > _liking(request, _TEXT)


def _liking(request: Request, media_type: str | None) -> tuple[float, bool]:
    """Return how much Accept likes a type, and whether it names it."""
    if media_type is None:
        return 0.0, False
    named = any(media_type == one.lower().partition(";")[0].strip() for one in request.accept_mimetypes.values())
    return request.accept_mimetypes[media_type], named
