"""The lists of a session."""

from __future__ import annotations

from flask import Blueprint, Flask, Response

from services.sessions import refusals
from services.sessions.items.rules import lists
from services.sessions.web import parts, seat, show

blueprint = Blueprint("items", __name__)


def register(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(blueprint)


@blueprint.get("/api/session/items/<name>/", defaults={"slot": None})
@blueprint.get("/api/session/lists/<name>/", defaults={"slot": None})
@blueprint.get("/api/slots/<int:slot>/lists/<name>/")
@blueprint.get("/api/slots/<int:slot>/items/<name>/")
def items(name: str, slot: int | None) -> Response:
    """Answer the items of a list."""
    here = seat(slot)
    known = lists.find(name)
    if known is None:
        raise refusals.no_such("list", name)
    return show(known, parts().items.all(here, known))
