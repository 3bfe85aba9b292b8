"""Pages for people: the archive at `/` and the visitor at `/visitor`. They use the public API as any other client does."""

from __future__ import annotations

import functools
from pathlib import Path

from flask import Blueprint, Flask, Response, render_template, request

from services.common.pages import assets, mounted
from services.common.pages.assets import Assets

FOLDER = Path(__file__).parent
BRAND = "Tokens for Climate Care"
POLICY = mounted.policy("'self' blob: data:")


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
    return mounted.guarded(answer, POLICY) if request.endpoint == "shared.asset" else answer


def archive() -> Response:
    """Answer with the page of the archive."""
    return page("archive.html")


def page(name: str) -> Response:
    """Render a page with the addresses of the place where the service is mounted."""
    root = mounted.root()
    text = render_template(name, brand=BRAND, home=f"{root}/", root=root, asset=functools.partial(ASSETS.address, root=root))
    return mounted.answer(text, POLICY)
