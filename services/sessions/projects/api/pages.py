"""Projects as data: the addresses that a browser and a client read."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Flask, Response

from services.sessions import levels
from services.sessions.events.sets import IO
from services.sessions.pages.navigation import here, link
from services.sessions.web import need, parts, show

_NEXT: Final = {
    "Start it": "START_NEW_SESSION",
    "Rename it": "SET_PROJECT_NAME",
    "Say who may do what": "SET_PROJECT_PERMISSION",
    "Give it to somebody else": "SET_PROJECT_OWNER",
    "Choose a version": "SET_PROJECT_ACTIVE_VERSION",
    "Add a language": "SET_PROJECT_LANGUAGE",
    "Put it into the archive": "SET_PROJECT_ARCHIVED",
    "Throw it away": "SET_PROJECT_TRASHED",
}

blueprint = Blueprint("projects", __name__)


def register(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(blueprint)


@blueprint.get("/api/services/projects/")
@blueprint.get("/api/projects/")
def projects() -> Response:
    """Answer the projects that the user may see, those in the trash included."""
    found = parts().projects.all(need(levels.JOIN_ONLY))
    create = IO.find("CREATE_NEW_PROJECT")
    return show(
        "Projects",
        found,
        links={one["fileName"]: link(f"{here()}{one['fileName']}/") for one in found},
        events=[(create, _event(create.name))] if create else [],
        about="Projects of your domain. A project is started as a session.",
    )


@blueprint.get("/api/services/projects/<name>/")
@blueprint.get("/api/projects/<name>/")
def project(name: str) -> Response:
    """Answer a project."""
    found = parts().projects.get(need(levels.JOIN_ONLY), name)
    return show(f"Project {name}", found, links={text: link(_event(event), project=name) for text, event in _NEXT.items()})


@blueprint.get("/api/services/projects/<name>/location/")
@blueprint.get("/api/projects/<name>/location/")
def location(name: str) -> Response:
    """Answer the size of a project's map in metres, and where its middle lies in degrees."""
    found = parts().projects.place(need(levels.JOIN_ONLY), name)
    return show(f"Location of {name}", found, links={"Change it": link(_event("SET_PROJECT_LOCATION"), project=name)})


def _event(name: str) -> str:
    return f"/api/services/event/{IO.names[0]}/{name}/"
