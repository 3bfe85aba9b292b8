"""What every route needs: the parts, who asks, how events are fired, how answers and errors look."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import MethodNotAllowed

from services.common.pages import mounted
from services.common.refusal import Refusal
from services.sessions import access, bodies, formats, refusals
from services.sessions.access import Caller, Seat
from services.sessions.events import events
from services.sessions.events.events import Event, EventSet
from services.sessions.formats import CSV as CSV
from services.sessions.formats import GEOJSON as GEOJSON
from services.sessions.formats import HTML as HTML
from services.sessions.formats import JSON as JSON
from services.sessions.formats import TJSON as TJSON
from services.sessions.pages import forms, navigation, rendering
from services.sessions.settings import SEED, Settings
from services.sessions.wiring import Parts

NAME: Final = "Gatehouse sessions"
DESCRIPTION: Final = "Start, join, watch and end running projects, as Tygron's API does."
VERSION: Final = "1.0.0"
BODY_LIMIT: Final = 1024 * 1024  # bytes
HEADERS: Final = (  # of every answer that does not say otherwise
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),  # the token may be in the address
)
_AS_SEED: Final = frozenset({"insufficient-rights", "invalid-token", "session-ended", "client-released"})  # 400 in the seed


def parts() -> Parts:
    """Return the parts of the application that answers this request."""
    found: Parts = current_app.extensions["sessions"]
    return found


def caller() -> Caller:
    """Return the user who asks; looked up once a request. Raises Refusal 401, 429, 503."""
    found: Caller | None = g.get("caller")
    if found is None:
        found = g.caller = replace(_user(), today=navigation.is_of_today())
    return found


def seat(slot: int | None = None, *, following: bool = False) -> Seat:
    """Return the place in a session that the tokens of this request belong to; looked up once a request. A POST counts as activity.

    slot: the session's id, where the address names it. following: see `Seats.seat`. Raises Refusal 400 (or 401, 404, 410).
    """
    found: Seat | None = g.get("seat")
    if found is None:
        token = request.headers.get("token") or request.headers.get("serverToken") or request.args.get("token")
        client = request.headers.get("clientToken") or request.args.get("clientToken")
        found = replace(parts().seats.seat(token, client, slot, following=following), today=navigation.is_of_today())
        g.seat = found
        if request.method == "POST" and found.client is not None:
            parts().activity.note(found.client.id, found.session.id)
    return found


def need(level: str) -> Caller:
    """Return the user who asks to read, who must have this level. Raises Refusal 400 (or 403), 401, 429, 503."""
    found = caller()
    if not access.may(found, level):
        raise refusals.insufficient_rights()
    access.allow(found, "read")
    return found


def chosen(*known: str) -> str:
    """Return the format of the answer, one of those that the address has. Raises Refusal 400, 406."""
    return formats.chosen(request, known)


def answer(value: Any, status: int = 200) -> Response:
    """Answer with a bare JSON value."""
    return Response(json.dumps(value, ensure_ascii=False, separators=(",", ":")), status, mimetype="application/json")


def show(
    title: str, value: Any, *, links: Mapping[str, str] | None = None, events: Sequence[tuple[Event, str]] = (), about: str = ""
) -> Response:
    """Answer with a value, as JSON or as a page.

    links: where the page leads besides the pages below it, addresses by name. events: that may be fired from here, each with its path.
    about: what the value is, for people.
    """
    if chosen(HTML, JSON) == JSON:
        return answer(value)
    return rendering.data(title, value, formats=(JSON,), links=links, events=events, about=about)


def fire(found: EventSet, name: str, who: Callable[[], Caller | Seat]) -> Response:
    """Fire an event by POST; a browser's GET gets its form. Raises Refusal, MethodNotAllowed.

    who: finds who asks. Rights are judged before anything of the body is read. Tygron's Python SDK logs in by a GET, so that one event is
    fired by it as well (`Event.by_get`).
    """
    event = found.find(name)
    if event is None:
        raise refusals.no_such("event", name)
    format_ = chosen(HTML, JSON)
    asking = who()
    if request.method == "GET" and format_ == JSON and event.by_get and asking.today:
        check_site()
        access.require(asking, event)
        return answer(event.run(asking))
    if request.method in ("GET", "HEAD"):
        return form(event, asking)
    if format_ == HTML and bodies.is_form(request):
        return _fire_form(event, asking)
    access.require(asking, event)
    return done(event, asking, event.run(asking, *_sent(event, asking)))


def form(event: Event, asking: Caller | Seat) -> Response:
    """Answer GET at an address where only POST does something: a browser gets the form. Raises Refusal 406, MethodNotAllowed."""
    if chosen(HTML, JSON) == JSON:
        raise MethodNotAllowed(["POST"])
    return rendering.form(event, asking)


def done(event: Event, asking: Caller | Seat, value: Any) -> Response:
    """Answer what an event has done: with the bare value, or with its page and the value in it."""
    return answer(value) if chosen(HTML, JSON) == JSON else rendering.result(event, asking, value)


def _fire_form(event: Event, asking: Caller | Seat) -> Response:
    """Fire an event by the form of its page; what is refused comes back as the form, with what was typed."""
    fields: dict[str, str] = {}
    try:
        access.require(asking, event)
        fields = form_fields(asking)
        value = event.run(asking, *events.from_form(event, fields))
    except Refusal as error:
        wrong = {name: str(text) for name, text in (error.fields or {}).items()}
        form = rendering.Form(event, navigation.here(), asking, fields, wrong, error.message)
        shown = rendering.refused(form, _status(error.status, error.code))
        shown.headers.extend(error.headers)
        return shown
    return rendering.result(event, asking, value)


def check_site() -> None:
    """Let no other site's page send a request in its reader's name: browsers send Basic credentials on their own. Raises Refusal 403."""
    if mounted.cross_site(request.host):
        raise refusals.cross_site()


def form_fields(asking: Caller | Seat) -> dict[str, str]:
    """Return the fields of a form that no other site sent; none when the body is no form. Raises Refusal 400, 403.

    A page that tells nobody where it was (`no-referrer`) sends the Origin `null`; so may a foreign one. The token in our forms tells them
    apart.
    """
    fields = bodies.fields(request)
    token = fields.pop(forms.TOKEN, None)
    if token is not None and not forms.is_token(rendering.name_of(asking), token):
        raise refusals.form_expired()
    if token is None or request.headers.get("Origin") != "null":
        check_site()
    return fields


def json_body() -> Any:
    """Read the body as JSON; None when there is none. Raises Refusal 400, 415."""
    return bodies.json_value(request)


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Render an error: plain text, or a page for a browser."""
    status = _status(status, code)
    if formats.wants_page(request):
        return rendering.failure(status, message, code, HTTPStatus(status).phrase)
    return Response(message.encode("utf-8", "replace"), status, mimetype="text/plain")


def register(app: Flask) -> None:
    """Add what happens to every answer."""

    @app.after_request
    def finish(answer: Response) -> Response:
        for name, value in HEADERS:
            answer.headers.setdefault(name, value)
        return answer


def _user() -> Caller:
    credential = request.headers.get("Authorization", "")
    shown = request.authorization
    if shown is None:
        raise refusals.credentials_needed()
    if shown.type == "basic":
        return parts().users.by_password(shown.username or "", shown.password or "", request.remote_addr or "", credential)
    if shown.type == "bearer" and shown.token:
        return parts().users.by_token(shown.token, credential)
    raise refusals.credentials_needed()


def status_of(settings: Settings, status: int, code: str) -> int:
    """Return the status of a refusal, as the setting `strict_status` wants it."""
    return 400 if code in _AS_SEED and settings.strict_status == SEED else status


def _status(status: int, code: str) -> int:
    return status_of(parts().settings, status, code)


def _sent(event: Event, asking: Caller | Seat) -> Sequence[Any]:
    """Return the values that were sent for an event. Raises Refusal 400, 403, 415."""
    if bodies.is_form(request):
        return events.from_form(event, form_fields(asking))
    check_site()
    sent = json_body()
    if sent is None:
        sent = []
    if isinstance(sent, dict):
        return events.by_name(event, sent)
    if isinstance(sent, list):
        return events.by_position(event, sent)
    raise refusals.invalid_request(f"{event.name} takes a list: [{events.signature(event)}].")
