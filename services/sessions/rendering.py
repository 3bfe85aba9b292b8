"""Answers as pages: the API is its own documentation in a browser. Templates are in `pages/templates/sessions`.

Every page shows what its address answers as data, where it leads, and a form for each event that may be fired from there. No page needs a
script.
"""

from __future__ import annotations

import functools
import hmac
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from flask import Response, current_app, render_template, request

from services.common.pages import mounted
from services.common.pages.assets import Assets
from services.sessions.events import Event, EventSet

BRAND: Final = "Sessions"
FIELD: Final = "csrf"  # of the token in forms
_FORM_S: Final = 24 * 3600
_FOLDER: Final = Path(__file__).parent / "pages"
ASSETS: Final = Assets("/pages", _FOLDER)
POLICY: Final = mounted.policy("'self' data:").replace("form-action 'none'", "form-action 'self'")


def link(path: str, **query: str) -> str:
    """Return an address of the service as the browser knows it: with the mount, and with the session token when it is in the query."""
    kept = {name: request.args[name] for name in ("token", "clientToken") if name in request.args}
    asked = urlencode({**kept, **query})
    return f"{request.script_root}{path}{'?' + asked if asked else ''}"


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Render a page of `templates/sessions`. values: of the template."""
    root = request.script_root
    text = render_template(
        f"sessions/{template}",
        brand=BRAND,
        home=link("/api/"),
        root=root,
        link=link,
        here=request.path,
        asset=functools.partial(ASSETS.address, root=root),
        **values,
    )
    found = mounted.answer(text, POLICY)
    found.status_code = status
    found.headers["Cache-Control"] = "no-store"
    return found


def form(events: EventSet, event: Event, user: str) -> Response:
    """Render the form of an event. user: whose form it is."""
    return page("event.html", events=events, event=event, form_token=form_token(user))


def result(events: EventSet, event: Event, value: Any, user: str) -> Response:
    """Render what an event has answered, below its form."""
    return page("event.html", events=events, event=event, form_token=form_token(user), fired=True, value=value)


def failure(status: int, message: str) -> Response:
    """Render an error."""
    return page("failure.html", status, code=status, message=message)


def data(title: str, value: Any, *, formats: tuple[str, ...], links: Mapping[str, str] | None = None) -> Response:
    """Render a value. links: addresses by their names, where this one leads."""
    return page("data.html", title=title, value=value, formats=formats, links=links or {})


def form_token(user: str) -> str:
    """Return a token for a form of this user, good for a day."""
    return _form_token(user, int(time.time()))


def is_form_token(user: str, token: str) -> bool:
    """Say whether a form of this user had this token, within the last day."""
    moment, _, _ = token.partition(".")
    if not (moment.isascii() and moment.isdecimal() and len(moment) < 12):
        return False
    age = time.time() - int(moment)
    return -60 <= age <= _FORM_S and hmac.compare_digest(_form_token(user, int(moment)).encode(), token.encode("utf-8", "replace"))


def _form_token(user: str, moment: int) -> str:
    keys = current_app.extensions["sessions"].keys
    return f"{moment}.{keys.derive('form', f'{user}:{moment}').hex()[:32]}"
