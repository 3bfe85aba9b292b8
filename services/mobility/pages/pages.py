"""Pages for people: what a browser gets at `/`, and the map at `/map`. They use the public API as any other client does."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, render_template, request

from services.common.pages import assets, mounted
from services.common.pages.assets import LEAFLET, Assets
from services.mobility import web

_FOLDER: Final = Path(__file__).parent
SCRIPTS: Final = _FOLDER / "map"
ASSETS: Final = Assets("/pages", SCRIPTS, LEAFLET)
POLICY: Final = mounted.policy("'self' data:")

blueprint = Blueprint("pages", __name__, template_folder="templates")


def register(app: Flask) -> None:
    """Add the pages and the files that they load."""
    assets.register(app, ASSETS)
    app.register_blueprint(blueprint)


@blueprint.get("/map")
def show_map() -> Response:
    """Answer with the map."""
    settings = web.parts().settings
    tiles = urlsplit(settings.tiles_url)
    policy = mounted.policy(f"'self' data: {tiles.scheme}://{tiles.netloc}") if settings.tiles_url else POLICY
    return _page("map.html", policy, tiles=settings.tiles_url, credit=settings.tiles_credit)


def start() -> Response:
    """Answer with the first page."""
    return _page("start.html", POLICY)


@blueprint.after_app_request
def guard(answer: Response) -> Response:
    """Protect the files of the pages as the pages are protected."""
    return mounted.guarded(answer, POLICY) if request.endpoint == "shared.asset" else answer


def _page(name: str, policy: str, **values: Any) -> Response:
    """Render a page with the addresses of the place where the service is mounted."""
    root = mounted.root()
    text = render_template(
        f"mobility/{name}",
        brand="Mobility",
        home=f"{root}/",
        root=root,
        url=f"{request.host_url.rstrip('/')}{root}",
        asset=functools.partial(ASSETS.address, root=root),
        **values,
    )
    return mounted.answer(text, policy)
