"""Where pages lead. Links follow the table of routes: an address that is added is found in the pages above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from flask import current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

KEPT: Final = ("token", "clientToken")  # of the query: whoever has them in an address has them in all links from there
TOP: Final = "/api/"
_OF_2015: Final = ("/api/services/", "/api/slots/")


@dataclass(frozen=True, slots=True)
class Link:
    """A link. text: what is shown. address: as the browser knows it. about: what is there."""

    text: str
    address: str
    about: str = ""


def link(path: str, **query: object) -> str:
    """Return an address of the service as the browser knows it: with the mount, and with the tokens when they are in the query.

    path: not quoted. query: what else is in it, before the tokens that are kept.
    """
    kept = {name: request.args[name] for name in KEPT if request.args.get(name)}
    asked = urlencode({**kept, **query}, errors="replace")
    return f"{request.script_root}{quote(path, errors='replace')}{'?' + asked if asked else ''}"


def here() -> str:
    """Return the path of this address, with its final slash."""
    return request.path if request.path.endswith("/") else request.path + "/"


def is_of_today() -> bool:
    """Say whether today's clients use this address, not those of 2015."""
    return not here().startswith(_OF_2015)


def is_there(path: str) -> bool:
    """Say whether a route answers GET at a path."""
    try:
        current_app.url_map.bind("").match(path, "GET")
    except (HTTPException, RequestRedirect):
        return False
    return True


def crumbs() -> list[Link]:
    """Return links to the pages above this one, from the top."""
    if not request.path.startswith(TOP):
        return [Link("API", link(TOP))]
    found = [Link("API", link(TOP))]
    path = TOP
    for part in here().removeprefix(TOP).split("/")[:-2]:
        path += f"{part}/"
        if is_there(path):
            found.append(Link(part, link(path)))
    return found if here() != TOP else []


def below() -> list[Link]:
    """Return links to the pages right below this one, as the table of routes has them, by name."""
    rule = request.url_rule
    if rule is None:
        return []
    found: dict[str, Link] = {}
    start = rule.rule.rstrip("/") + "/"
    for one in current_app.url_map.iter_rules():
        name = one.rule.removeprefix(start).strip("/")
        if one.rule.startswith(start) and "GET" in (one.methods or ()) and name and not set(name) & set("/<"):
            about = (current_app.view_functions[one.endpoint].__doc__ or "").strip().partition("\n")[0]
            found[name] = Link(name, link(f"{here()}{name}/"), about)
    return [found[name] for name in sorted(found)]
