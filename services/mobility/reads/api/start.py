"""`/`: what the service is."""

from __future__ import annotations

from flask import Response, current_app, request

from services.common.pages import mounted
from services.mobility import web
from services.mobility.pages import pages
from services.mobility.reads.schemas import Start
from services.mobility.web import Blueprint, answer

blueprint = Blueprint("start", __name__, description="What the service is.")


@blueprint.get("/")
@blueprint.response(200, Start)
def start() -> Response:
    """What the service is; a browser gets a page."""
    if mounted.wants_page():
        return pages.start()
    health = current_app.extensions["checks"].run()
    found = answer(url=request.url, name=web.NAME, description=web.DESCRIPTION, health=health)
    found.headers["Vary"] = "Accept, X-Forwarded-Prefix"
    return found
