"""Analysis of a session: how densely areas are built on."""

from __future__ import annotations

import math

from flask import Blueprint, Flask, Response, request

from services.sessions import refusals
from services.sessions.access import Seat
from services.sessions.items.api.showing import get, rows
from services.sessions.items.rules import density
from services.sessions.items.rules.density import Area
from services.sessions.web import json_body, parts, seat

TITLE = "Building density"

blueprint = Blueprint("analysis", __name__)


def register(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(blueprint)


@get(blueprint, "/density/")
def of_squares(slot: int | None) -> Response:
    """Answer how densely each square of a grid over the map is built on. `cell`: metres of a side, 100 when it is left out."""
    here = seat(slot)
    place = parts().items.place(here)
    try:
        areas = density.squares(place.size_m, _cell())
    except ValueError as error:
        raise refusals.invalid_request(f"cell: {error}.") from None
    return _measured(here, areas)


@blueprint.post("/api/session/density/", defaults={"slot": None})
@blueprint.post("/api/slots/<int:slot>/density/")
def of_areas(slot: int | None) -> Response:
    """Answer how densely each of these areas is built on: a GeoJSON FeatureCollection, or a list of polygons. It changes nothing.

    `crs`: `local`, metres on the map (when it is left out), or `wgs84`, degrees of longitude and latitude.
    """
    here = seat(slot)
    crs = request.args.get("crs", density.LOCAL).lower()
    if crs not in (density.LOCAL, density.WGS84):
        raise refusals.invalid_request(f"crs is {density.LOCAL} or {density.WGS84}.")
    try:
        areas = density.read_areas(json_body(), parts().items.place(here), crs)
    except ValueError as error:
        raise refusals.invalid_request(f"{error}.") from None
    return _measured(here, areas)


def _measured(here: Seat, areas: list[Area]) -> Response:
    try:
        found = parts().items.density(here, areas)
    except ValueError as error:
        raise refusals.invalid_request(f"{error}.") from None
    return rows(TITLE, found, "Density", lambda: parts().items.place(here))


def _cell() -> float:
    written = request.args.get("cell", str(density.DEFAULT_CELL_M))
    try:
        found = float(written)
    except ValueError:
        found = math.nan
    if not 1 <= found <= math.inf:  # NaN neither
        raise ValueError(f"expected metres of a side, 1 or more, not {written[:30]!r}")
    return found
