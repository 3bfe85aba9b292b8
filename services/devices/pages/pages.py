"""Pages for people: the devices of an account at `/`, one device at `/view/<id>`.

Both are one document, so that the token that a person types in lives in its memory alone and is there on both. It uses the public API as
any other client does.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, render_template, request

from services.common.pages import assets, mounted
from services.common.pages.assets import Assets
from services.devices import web
from services.devices.web import parts

FOLDER = Path(__file__).parent
BRAND = "Devices"
POLICY = mounted.policy("'self'")
_AN_ID = re.compile(r"[0-9a-f]{24}").fullmatch

blueprint = Blueprint("pages", __name__, template_folder="templates")
ASSETS = Assets("/pages", FOLDER, FOLDER / "uplot")


def register(app: Flask) -> None:
    """Add `/`, the page of a device, and the files that they load."""
    assets.register(app, ASSETS)
    app.register_blueprint(blueprint)


@blueprint.get("/")
def start() -> Response:
    """Say what this is; a browser gets the page of devices."""
    if mounted.wants_page():
        return page()
    answer = web.answer({"name": web.NAME, "description": web.DESCRIPTION, "version": web.VERSION, "documentation": "openapi.json"})
    answer.headers["Vary"] = "Accept, X-Forwarded-Prefix"
    return answer


@blueprint.get("/view/<device_id>")
def view(device_id: str) -> Response:
    """Answer with the page of a device. Whether there is such a device, the page asks with the person's token. Raises NotFound."""
    if not _AN_ID(device_id):
        abort(404)
    return page()


@blueprint.after_app_request
def guard(answer: Response) -> Response:
    """Protect the files of the page as the page is protected."""
    return mounted.guarded(answer, POLICY) if request.endpoint == "shared.asset" else answer


def page() -> Response:
    """Render the page with the addresses of the place where the service is mounted."""
    root = mounted.root()
    text = render_template(
        "devices.html",
        brand=BRAND,
        home=f"{root}/",
        root=root,
        tokens=f"{parts().settings.auth_issuer.rstrip('/')}/account/tokens",
        asset=functools.partial(ASSETS.address, root=root),
    )
    return mounted.answer(text, POLICY)
