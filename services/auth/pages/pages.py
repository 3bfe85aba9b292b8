"""All pages of auth: their routes and assets, the information page, and errors as pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request

from services.auth import web
from services.auth.pages import account, consent, visit
from services.auth.web import parts
from services.common.pages import assets
from services.common.pages.negotiation import prefers_html

blueprint = Blueprint("start", __name__, template_folder="templates")
_PAGES = re.compile(r"/oauth/authorize|/account(/.*)?")


def register(app: Flask) -> None:
    """Add the pages and what they load."""
    assets.register(app, visit.ASSETS)
    for one in (blueprint, account.blueprint, consent.blueprint):
        app.register_blueprint(one)


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Render an error as a page among the pages, as JSON elsewhere."""
    return visit.failure(status, message) if _PAGES.fullmatch(request.path) else web.render_error(status, message, code, fields)


@blueprint.get("/")
def information() -> Response:
    """Say what this is; a browser gets a page."""
    if prefers_html(request.headers.get("Accept", "")):
        return visit.start()
    answer = jsonify(name=web.NAME, version=web.VERSION, git_sha=parts().settings.git_sha)
    answer.headers["Vary"] = "Accept, X-Forwarded-Prefix"
    return answer
