"""Projects as data: the addresses that a browser and a client read."""

from __future__ import annotations

from flask import Flask, Response

from services.common.documented import Blueprint
from services.sessions import levels
from services.sessions.navigation import link
from services.sessions.web import need, parts, show

blueprint = Blueprint("projects", __name__, description="Projects of the own domain.")


def register(app: Flask) -> None:
    """Add the routes."""
    app.extensions["api"].register_blueprint(blueprint)


@blueprint.get("/api/services/projects/")
@blueprint.get("/api/projects/")
def projects() -> Response:
    """Answer the projects that the user may see, those in the trash included."""
    found = parts().projects.all(need(levels.JOIN_ONLY))
    return show("Projects", found, links={one["fileName"]: link(f"/api/projects/{one['fileName']}/") for one in found})


@blueprint.get("/api/services/projects/<name>/")
@blueprint.get("/api/projects/<name>/")
def project(name: str) -> Response:
    """Answer a project."""
    found = parts().projects.get(need(levels.JOIN_ONLY), name)
    links = {"Location": link(f"/api/projects/{name}/location/"), "All projects": link("/api/projects/")}
    return show(f"Project {name}", found, links=links)


@blueprint.get("/api/services/projects/<name>/location/")
@blueprint.get("/api/projects/<name>/location/")
def location(name: str) -> Response:
    """Answer the size of a project's map in metres, and where its middle lies in degrees."""
    found = parts().projects.place(need(levels.JOIN_ONLY), name)
    return show(f"Location of {name}", found, links={f"Project {name}": link(f"/api/projects/{name}/")})
