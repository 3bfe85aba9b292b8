"""Answers as pages: the API is its own documentation in a browser. Templates are in `pages/templates/sessions`.

Every page shows what its address answers as data, where it leads, and a form for each event that may be fired from there. No page needs a
script.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from flask import Response, g, render_template, request

from services.common.pages import mounted
from services.common.pages.assets import LEAFLET, Assets
from services.sessions import access
from services.sessions.access import Caller, Seat
from services.sessions.events.events import Event, EventSet, signature
from services.sessions.pages import forms, leads, navigation, tables
from services.sessions.pages.navigation import Link, link

BRAND: Final = "Sessions"
_FOLDER: Final = Path(__file__).parent
ASSETS: Final = Assets("/pages", _FOLDER, _FOLDER / "map", LEAFLET)
POLICY: Final = mounted.policy("'self' data:").replace("form-action 'none'", "form-action 'self'")
_WITHOUT_SESSION: Final = frozenset({"invalid-token", "session-ended", "client-released"})


@dataclass(frozen=True, slots=True)
class Form:
    """The form of an event. path: where it is fired. asking: who sees it. typed, wrong: of its fields, by name. message: of a refusal."""

    event: Event
    path: str
    asking: Caller | Seat
    typed: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    message: str = ""

    @property
    def action(self) -> str:
        return link(self.path)

    @property
    def token(self) -> str:
        return forms.token(name_of(self.asking))

    @property
    def fields(self) -> list[forms.Field]:
        return forms.fields(self.event, self.typed, self.wrong)

    @property
    def allowed(self) -> bool:
        return access.may(self.asking, self.event.level)

    @property
    def body(self) -> str:
        return forms.body(self.event)

    @property
    def curl(self) -> str:
        whole = f"{request.host_url.rstrip('/')}{link(self.path).partition('?')[0]}"
        return forms.curl(self.event, whole, in_session=isinstance(self.asking, Seat))


def name_of(asking: Caller | Seat) -> str:
    """Name who asks, for the token in a form."""
    return f"user:{asking.user.id}" if isinstance(asking, Caller) else f"session:{asking.session.id}"


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Render a page of `templates/sessions`. values: of the template."""
    root = request.script_root
    seat: Seat | None = g.get("seat")
    text = render_template(
        f"sessions/{template}",
        brand=BRAND,
        home=link(navigation.TOP),
        root=root,
        link=link,
        here=navigation.here(),
        crumbs=navigation.crumbs(),
        seat=seat,
        leave=leads.leave(seat.session.id) if seat else None,
        tables=tables,
        asset=functools.partial(ASSETS.address, root=root),
        **values,
    )
    # a lone surrogate may be in a text of a client: it cannot be written
    found = mounted.answer(text.encode("utf-8", "replace").decode(), POLICY)
    found.status_code = status
    found.headers["Cache-Control"] = "no-store"
    return found


def form(event: Event, asking: Caller | Seat) -> Response:
    """Render the form of an event; values in the query, by the names of parameters, stand in it already."""
    return page("event.html", form=Form(event, navigation.here(), asking, request.args.to_dict()))


def refused(shown: Form, status: int) -> Response:
    """Render the form of an event that was refused, with what was typed."""
    return page("event.html", status, form=shown)


def result(event: Event, asking: Caller | Seat, value: Any) -> Response:
    """Render what an event has answered, and its form below."""
    return page("event.html", form=Form(event, navigation.here(), asking), fired=True, value=value, next=leads.after(event.name, value))


def failure(status: int, message: str, code: str, name: str) -> Response:
    """Render an error. name: of the status."""
    return page("failure.html", status, code=status, name=name, message=message, join=leads.join() if code in _WITHOUT_SESSION else None)


def overview(title: str, about: str, links: Sequence[Link], formats: Iterable[str] = ()) -> Response:
    """Render a page that only leads on."""
    return page("overview.html", title=title, about=about, links=links, formats=formats)


def events(found: EventSet, asking: Caller | Seat) -> Response:
    """Render a set of events."""
    shown = [(one, signature(one), access.may(asking, one.level)) for one in found]
    return page("set.html", events=found, shown=shown, formats=("JSON",))


def data(
    title: str,
    value: Any,
    *,
    formats: tuple[str, ...],
    links: Mapping[str, str] | None = None,
    events: Sequence[tuple[Event, str]] = (),
    about: str = "",
) -> Response:
    """Render a value. links: addresses by their names, where this one leads besides those below it.

    formats: others that the address has. events: that may be fired from here, each with its path.
    about: what the value is.
    """
    asking: Caller | Seat | None = g.get("seat") or g.get("caller")
    below = navigation.below()
    shown_already = {one.address for one in below}
    named = [Link(name, address) for name, address in (links or {}).items() if address not in shown_already]
    if isinstance(value, Mapping) and links:  # they are shown as links
        value = {name: one for name, one in value.items() if name != "links"}
    rows = tables.table(value)
    own_page = rows is not None and "id" in rows.columns and navigation.is_there(f"{navigation.here()}{rows.rows[0].get('id')}/")
    shown = [Form(event, path, asking, request.args.to_dict()) for event, path in events] if asking else []
    return page(
        "data.html",
        title=title,
        about=about,
        value=value,
        formats=formats,
        links=[*named, *below],
        rows_lead_on=own_page,
        forms=shown,
    )
