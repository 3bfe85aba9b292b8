"""The page that shows a running session on a map. Its scripts are a client of the public API only."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Flask, Response

from services.sessions import web
from services.sessions.items.rules import lists
from services.sessions.pages import rendering

FOLDER = Path(__file__).parent

blueprint = Blueprint("map", __name__)


def register(app: Flask) -> None:
    """Add the route."""
    app.register_blueprint(blueprint)


@blueprint.get("/api/session/map/", defaults={"slot": None})
@blueprint.get("/api/slots/<int:slot>/map/")
def show(slot: int | None) -> Response:
    """Show the session on a map, live.

    Raises Refusal 400 (or 401, 404, 410), 406.
    """
    web.chosen(web.HTML)
    return rendering.page("map.html", session=web.seat(slot).session, lists=lists.ALL)
