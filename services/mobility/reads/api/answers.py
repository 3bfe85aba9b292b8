"""How lists of nodes are answered: the original's JSON, or GeoJSON for who asks for it (RFC 7946)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from flask import Response, request

from services.common.pages.negotiation import qualities, quality
from services.mobility import paging, refusals, web
from services.mobility.paging import Page
from services.mobility.reads.rules import shown
from services.mobility.reads.service.lists import Listing
from services.mobility.web import answer, query

GEOJSON: Final = "application/geo+json"


def wants_geojson() -> bool:
    """Say whether the answer is GeoJSON: by `format`, else by the Accept header. Raises Refusal 422."""
    asked = query().get("format")
    if asked is not None:
        if asked not in ("geojson", "json"):
            raise refusals.parameter("format", asked, "it is `json` or `geojson`")
        return asked == "geojson"
    accept = qualities(request.headers.get("Accept") or "*/*")
    return GEOJSON in accept and quality(accept, GEOJSON) > quality(accept, "application/json")


def listing(page: Page, found: Listing, *, as_geojson: bool) -> Response:
    """Answer with a page of nodes, which have their geometry when it is GeoJSON; `Link` leads to the next page."""
    if as_geojson:
        following = [("next", paging.next_url(request.url, page))] if found.more else []
        collection = shown.collection(found.results, found.total, [("self", request.url), *following])
        response = web.link_next(_geojson(collection), page, more=found.more)
    else:
        response = web.listing(page, found.results, more=found.more, total=found.total)
    return _varied(response)


def one(node: Mapping[str, Any], *, as_geojson: bool) -> Response:
    """Answer with one node, which has its geometry when it is GeoJSON."""
    return _varied(_geojson(shown.feature(node)) if as_geojson else answer(url=request.url, results=[node]))


def _varied(response: Response) -> Response:
    """Say that the Accept header chooses (`wants_geojson`)."""
    response.vary.add("Accept")
    return response


def _geojson(value: Mapping[str, Any]) -> Response:
    return Response(json.dumps(value, ensure_ascii=False, separators=(",", ":")), mimetype=GEOJSON)
