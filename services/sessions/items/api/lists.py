"""The lists of a session, and what else of it is read."""

from __future__ import annotations

from flask import Blueprint, Flask, Response

from services.sessions import refusals
from services.sessions.events.sets import SESSION
from services.sessions.items.api.showing import base, events_of, get, row, rows
from services.sessions.items.rules import lists
from services.sessions.pages.navigation import link
from services.sessions.web import parts, seat, show

LARGEST_ID = 2**31 - 1

blueprint = Blueprint("items", __name__)


def register(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(blueprint)


@get(blueprint, "/")
def overview(slot: int | None) -> Response:
    """Show the session: what it is, its lists, and where all else is found."""
    here = seat(slot)
    start = base(slot)
    of_lists = {name: link(f"{start}items/{name}/") for name in lists.ALL}
    others = {name: link(f"{start}{name}/") for name in ("items", "location", "density", "update", "info", "clients")}
    events = {"events": link(f"{start}event/{SESSION.names[0]}/")}
    found = {"session": parts().finding.info(here), "lists": parts().items.index(here), "links": {**of_lists, **others, **events}}
    return show(f"Session {here.session.name}", found, links=of_lists)


@get(blueprint, "/lists/")
@get(blueprint, "/items/")
def index(slot: int | None) -> Response:
    """List the lists, each with its size and version."""
    here = seat(slot)
    links = {name: link(f"{base(slot)}items/{name}/") for name in lists.ALL}
    return show("Lists", parts().items.index(here), links=links)


@get(blueprint, "/lists/<name>/")
@get(blueprint, "/items/<name>/")
def items(name: str, slot: int | None) -> Response:
    """Answer the items of a list."""
    here = seat(slot)
    known = _known(name)
    found = parts().items.all(here, known)
    place = (lambda: parts().items.place(here)) if known in lists.WITH_GEOMETRY else None
    return rows(known, found, lists.type_of(known), place, events=events_of(known, slot))


@get(blueprint, "/lists/<name>/size/")
@get(blueprint, "/items/<name>/size/")
def size(name: str, slot: int | None) -> Response:
    """Answer how many items a list has."""
    here = seat(slot)
    known = _known(name)
    return show(f"Size of {known}", parts().items.size(here, known))


@get(blueprint, "/lists/<name>/version/")
@get(blueprint, "/items/<name>/version/")
def version(name: str, slot: int | None) -> Response:
    """Answer the version of a list's newest change."""
    here = seat(slot)
    known = _known(name)
    return show(f"Version of {known}", parts().items.version(here, known))


@get(blueprint, "/lists/<name>/<int:item_id>/")
@get(blueprint, "/items/<name>/<int:item_id>/")
def item(name: str, item_id: int, slot: int | None) -> Response:
    """Answer one item of a list."""
    here = seat(slot)
    known = _known(name)
    if item_id > LARGEST_ID:  # no store has such a number
        raise refusals.no_such("item", f"{known}/{item_id}")
    found = parts().items.one(here, known, item_id)
    place = (lambda: parts().items.place(here)) if known in lists.WITH_GEOMETRY else None
    return row(f"{known} {item_id}", found, lists.type_of(known), place)


@get(blueprint, "/location/")
def location(slot: int | None) -> Response:
    """Answer the size of the map, and where it is on Earth: degrees of its middle, and of its west, south, east and north."""
    place = parts().items.place(seat(slot))
    found = {
        "mapSizeM": place.size_m,
        "lat": place.lat,
        "lon": place.lon,
        "boundsM": [0, 0, place.size_m, place.size_m],
        "boundsLonLat": place.bounds_lonlat() if place.is_on_earth else None,
        "crs": place.crs,
    }
    return show("Location", found)


def _known(name: str) -> str:
    found = lists.find(name)
    if found is None:
        raise refusals.no_such("list", name)
    return found
