"""Pages for people: the archive at `/` and the visitor at `/visitor`. They use the public API as any other client does."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from flask import Blueprint, Flask, Response, render_template, request

from services.common.pages import assets
from services.common.pages.assets import Assets
from services.common.pages.negotiation import prefers_html

FOLDER = Path(__file__).parent
BRAND = "Tokens for Climate Care"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+/?\Z").match


blueprint = Blueprint("pages", __name__, template_folder="templates")
ASSETS = Assets("/pages", FOLDER)


def register(app: Flask) -> None:
    """Add the visitor's page and the files of both pages. `/` itself belongs to the API (`archive/api.py`)."""
    assets.register(app, ASSETS)
    app.register_blueprint(blueprint)


@blueprint.get("/visitor")
def visitor() -> Response:
    """Answer with the page of a visitor who takes part."""
    return page("visitor.html")


@blueprint.after_app_request
def guard(answer: Response) -> Response:
    """Protect the files of the pages as `page` protects the pages."""
    return guarded(answer) if request.endpoint == "shared.asset" else answer


def archive() -> Response:
    """Answer with the page of the archive."""
    return page("archive.html")


def page(name: str) -> Response:
    """Render a page with the addresses of the place where the service is mounted."""
    root = mounted()
    text = render_template(name, brand=BRAND, home=f"{root}/", root=root, asset=functools.partial(ASSETS.address, root=root))
    answer = Response(text, content_type="text/html; charset=utf-8")
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["Vary"] = "Accept, X-Forwarded-Prefix"
    return guarded(answer)


def wants_page() -> bool:
    """Say whether the client prefers HTML to JSON; a client that takes anything gets JSON."""
    return prefers_html(request.headers.get("Accept", ""))


def mounted() -> str:
    """Read the path where the service is mounted, without a final slash."""
    prefix = request.headers.get("X-Forwarded-Prefix", "").rstrip("/")
    return prefix if _PREFIX(prefix) else ""


def guarded(answer: Response) -> Response:
    """Let the page run and fetch only what is its own."""
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
