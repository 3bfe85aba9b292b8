"""The frame of the API: its overviews, and the addresses of events in both generations of names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flask import Blueprint, Flask, Response

from services.sessions import refusals, web
from services.sessions.access import Caller, Seat
from services.sessions.events import sets
from services.sessions.events.events import EventSet
from services.sessions.pages import navigation, rendering
from services.sessions.pages.navigation import Link, link

blueprint = Blueprint("frame", __name__, template_folder="pages/templates")


def register(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(blueprint)


@blueprint.get("/api/")
def root() -> Response:
    """Show where the API begins: as a page only, as the original does."""
    web.chosen(web.HTML)
    return rendering.page("root.html", user=web.caller().user, sets=_links(sets.ROOT, "/api/services/event/"), below=navigation.below())


@blueprint.get("/api/services/")
def services() -> Response:
    """Show what lies outside of sessions: projects, users, the sessions that run."""
    web.caller()
    return _overview("Services", "Data and events for which you log in with your account.", navigation.below())


@blueprint.get("/api/slots/")
def slots() -> Response:
    """Show how the sessions that run are reached by their numbers."""
    web.caller()
    about = "Each running session takes up a slot: /api/slots/<id>/ is the same as /api/session/, with that session's token."
    leads = (("Sessions that run", "/api/services/sessions/"), ("This session, by its token", "/api/session/"))
    return _overview("Slots", about, [Link(text, link(path)) for text, path in leads if navigation.is_there(path)])


@blueprint.get("/api/services/event/")
@blueprint.get("/api/event/")
def root_sets() -> Response:
    """Show the sets of events at the root of the API."""
    links = _links(sets.ROOT, navigation.here(), today=web.caller().today)
    return _overview("Events", "Fire an event by POST; each has a page with a form.", links)


@blueprint.get("/api/session/event/", defaults={"slot": None})
@blueprint.get("/api/slots/<int:slot>/event/")
def session_sets(slot: int | None) -> Response:
    """Show the sets of events of a session: one set, under all names that clients have for it."""
    web.seat(slot)
    names = [Link(name, link(f"{navigation.here()}{name}/"), one.title) for one in sets.IN_SESSION for name in one.names]
    return _overview("Events in a session", "Clients name an event by the part that they play; all names mean the same set.", names)


@blueprint.get("/api/services/event/<set_name>/")
@blueprint.get("/api/event/<set_name>/")
def root_set(set_name: str) -> Response:
    """Show the events of a set."""
    return _events(_set(sets.ROOT, set_name), web.caller())


@blueprint.route("/api/services/event/<set_name>/<name>/", methods=["GET", "POST"])
@blueprint.route("/api/event/<set_name>/<name>/", methods=["GET", "POST"])
def root_event(set_name: str, name: str) -> Response:
    """Fire an event at the root of the API."""

    def who() -> Caller:
        caller = web.caller()
        return replace(caller, today=caller.today and sets.is_of_today(set_name))

    return web.fire(_set(sets.ROOT, set_name), name, who)


@blueprint.get("/api/session/event/<set_name>/", defaults={"slot": None})
@blueprint.get("/api/slots/<int:slot>/event/<set_name>/")
def session_set(set_name: str, slot: int | None) -> Response:
    """Show the events of a session."""
    return _events(_set(sets.IN_SESSION, set_name), web.seat(slot))


@blueprint.route("/api/session/event/<set_name>/<name>/", methods=["GET", "POST"], defaults={"slot": None})
@blueprint.route("/api/slots/<int:slot>/event/<set_name>/<name>/", methods=["GET", "POST"])
def session_event(set_name: str, name: str, slot: int | None) -> Response:
    """Fire an event in a session."""
    return web.fire(_set(sets.IN_SESSION, set_name), name, lambda: replace(web.seat(slot), today=sets.is_of_today(set_name)))


def _set(known: tuple[EventSet, ...], name: str) -> EventSet:
    found = sets.find(known, name)
    if found is None:
        raise refusals.no_such("set of events", name)
    return found


def _links(known: Sequence[EventSet], start: str, *, today: bool = False) -> list[Link]:
    """Return links to sets of events. today: by the names of today's clients, not those of 2015."""
    return [Link(one.title, link(f"{start}{one.names[-1 if today else 0]}/"), ", ".join(one.names)) for one in known]


def _overview(title: str, about: str, links: Sequence[Link]) -> Response:
    if web.chosen(web.HTML, web.JSON) == web.JSON:
        return web.answer({"title": title, "about": about, "links": [{"name": one.text, "about": one.about} for one in links]})
    return rendering.overview(title, about, links, formats=(web.JSON,))


def _events(found: EventSet, asking: Caller | Seat) -> Response:
    if web.chosen(web.HTML, web.JSON) == web.JSON:
        return web.answer([one.described() for one in found])
    return rendering.events(found, asking)
