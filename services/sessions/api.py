"""The frame of the API: its overviews, and the addresses of events in both generations of names."""

from __future__ import annotations

from flask import Blueprint, Flask, Response

from services.sessions import access, refusals, rendering, sets, web
from services.sessions.access import Seat
from services.sessions.events import EventSet

blueprint = Blueprint("frame", __name__, template_folder="pages/templates")


def register(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(blueprint)


@blueprint.get("/api/")
def root() -> Response:
    """Show where the API begins: as a page only, as the original does."""
    web.chosen(web.HTML)
    return rendering.page("root.html", user=web.caller().user, sets=sets.ROOT)


@blueprint.get("/api/services/event/<set_name>/")
@blueprint.get("/api/event/<set_name>/")
def root_set(set_name: str) -> Response:
    """Show the events of a set."""
    found = _set(sets.ROOT, set_name)
    web.caller()
    return rendering.page("set.html", events=found)


@blueprint.route("/api/services/event/<set_name>/<name>/", methods=["GET", "POST"])
@blueprint.route("/api/event/<set_name>/<name>/", methods=["GET", "POST"])
def root_event(set_name: str, name: str) -> Response:
    """Fire an event at the root of the API."""
    return web.fire(_set(sets.ROOT, set_name), name, web.caller)


@blueprint.get("/api/session/event/<set_name>/", defaults={"slot": None})
@blueprint.get("/api/slots/<int:slot>/event/<set_name>/")
def session_set(set_name: str, slot: int | None) -> Response:
    """Show the events of a session."""
    found = _set(sets.IN_SESSION, set_name)
    web.seat(slot)
    return rendering.page("set.html", events=found)


@blueprint.route("/api/session/event/<set_name>/<name>/", methods=["GET", "POST"], defaults={"slot": None})
@blueprint.route("/api/slots/<int:slot>/event/<set_name>/<name>/", methods=["GET", "POST"])
def session_event(set_name: str, name: str, slot: int | None) -> Response:
    """Fire an event in a session."""

    def who() -> Seat:
        seat = web.seat(slot)
        return access.today(seat) if sets.is_of_today(set_name) else seat

    return web.fire(_set(sets.IN_SESSION, set_name), name, who)


def _set(known: tuple[EventSet, ...], name: str) -> EventSet:
    found = sets.find(known, name)
    if found is None:
        raise refusals.no_such("set of events", name)
    return found
