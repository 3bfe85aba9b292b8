"""Formats of answers, and how a request chooses one: `f` in the query, else the Accept header, else the kind of its body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Request

from services.common.pages.negotiation import qualities, quality
from services.sessions import refusals

HTML, JSON, TJSON, CSV, GEOJSON = "HTML", "JSON", "TJSON", "CSV", "GEOJSON"
# what a program sees in Accept; TJSON has no media type of its own
_TYPES: Final = {HTML: "text/html", JSON: "application/json", CSV: "text/csv", GEOJSON: "application/geo+json"}


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
    accept = qualities(request.headers.get("Accept") or "*/*")
    ranked = max(formats, key=lambda one: (_liking(accept, one), _TYPES.get(one) in accept, one == first))
    if _liking(accept, ranked) <= 0:
        raise refusals.not_acceptable(formats)
    return ranked


def wants_page(request: Request) -> bool:
    """Say whether an error is shown as a page: to browsers, unless `f` asks for data. Programs get text."""
    wanted = {one.upper() for one in request.args.getlist("f")}
    if wanted & {HTML, JSON, TJSON, CSV, GEOJSON}:
        return wanted == {HTML}
    accept = qualities(request.headers.get("Accept") or "*/*")
    html, text = (quality(accept, one) for one in ("text/html", "text/plain"))
    return html > text or (html == text and "text/html" in accept and "text/plain" not in accept)


def _liking(accept: Mapping[str, float], format: str) -> float:
    return quality(accept, _TYPES[format]) if format in _TYPES else 0.0
