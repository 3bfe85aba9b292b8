"""The service's first page, and the files that pages load."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, redirect, request
from werkzeug.wrappers import Response as Redirect

from services.common.pages import assets, mounted
from services.sessions import web
from services.sessions.pages import navigation, rendering

blueprint = Blueprint("pages", __name__)


def register(app: Flask) -> None:
    """Add the routes."""
    assets.register(app, rendering.ASSETS)
    app.register_blueprint(blueprint)


@blueprint.get("/")
def start() -> Response | Redirect:
    """Say what this is; a browser goes where the API begins."""
    if mounted.wants_page():
        return redirect(navigation.link("/api/"))
    answer = web.answer({"name": web.NAME, "description": web.DESCRIPTION, "version": web.VERSION, "documentation": "openapi.json"})
    answer.headers["Vary"] = "Accept"
    return answer


@blueprint.after_app_request
def guard(answer: Response) -> Response:
    """Protect the files of the pages as the pages are protected."""
    return mounted.guarded(answer, rendering.POLICY) if request.endpoint == "shared.asset" else answer
