"""What every route needs: the parts, who asks, how events are fired, how answers and errors look."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import MethodNotAllowed

from services.common.pages import mounted
from services.common.pages.negotiation import prefers_html
from services.sessions import access, events, refusals, rendering
from services.sessions.access import Caller, Seat
from services.sessions.events import Event, EventSet
from services.sessions.settings import SEED
from services.sessions.wiring import Parts

NAME: Final = "Gatehouse sessions"
DESCRIPTION: Final = "Start, join, watch and end running projects, as Tygron's API does."
VERSION: Final = "1.0.0"
BODY_LIMIT: Final = 1024 * 1024  # bytes
HTML, JSON, TJSON, CSV, GEOJSON = "HTML", "JSON", "TJSON", "CSV", "GEOJSON"
_TYPES: Final = {"application/json": JSON, "application/geo+json": GEOJSON, "text/csv": CSV}
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_AS_SEED: Final = frozenset({"insufficient-rights", "invalid-token", "session-ended", "client-released"})  # 400 in the seed


def parts() -> Parts:
    """Return the parts of the application that answers this request."""
    found: Parts = current_app.extensions["sessions"]
    return found


def caller() -> Caller:
    """Return the user who asks; looked up once a request. Raises Refusal 401, 429, 503."""
    found: Caller | None = g.get("caller")
    if found is None:
        found = g.caller = _user()
    return found


def seat(slot: int | None = None) -> Seat:
    """Return the place in a session that the tokens of this request belong to; looked up once a request. A POST counts as activity.

    slot: the session's id, where the address names it. Raises Refusal 400 (or 401, 404, 410).
    """
    found: Seat | None = g.get("seat")
    if found is None:
        token = request.headers.get("token") or request.headers.get("serverToken") or request.args.get("token")
        client = request.headers.get("clientToken") or request.args.get("clientToken")
        found = g.seat = parts().seats.seat(token, client, slot)
        if request.method == "POST" and found.client is not None:
            parts().activity.note(found.client.id, found.session.id)
    return found


def need(level: str) -> Caller:
    """Return the user who asks, who must have this level. Raises Refusal 400 (or 403), 401, 429, 503."""
    found = caller()
    if not access.may(found, level):
        raise refusals.insufficient_rights()
    return found


def chosen(*formats: str) -> str:
    """Return the format of the answer: by `f` in the query, else by Accept, else that of the body, else HTML. Raises Refusal 406.

    formats: that the address has.
    """
    asked = request.args.get("f")
    if asked is not None:
        found = asked.upper()
    else:
        accept = request.headers.get("Accept", "")
        found = HTML
        if not prefers_html(accept):
            best = request.accept_mimetypes.best
            found = _TYPES.get(best or "", JSON if request.method == "POST" and request.mimetype == "application/json" else HTML)
    if found not in formats:
        raise refusals.not_acceptable(formats)
    return found


def answer(value: Any, status: int = 200) -> Response:
    """Answer with a bare JSON value."""
    return Response(json.dumps(value, ensure_ascii=False, separators=(",", ":")), status, mimetype="application/json")


def show(title: str, value: Any, *, links: Mapping[str, str] | None = None) -> Response:
    """Answer with a value, as JSON or as a page. links: where the page leads, addresses by name."""
    if chosen(HTML, JSON) == JSON:
        return answer(value)
    return rendering.data(title, value, formats=(JSON,), links=links)


def fire(found: EventSet, name: str, who: Callable[[], Caller | Seat]) -> Response:
    """Fire an event by POST; a browser's GET gets its form. Raises Refusal, MethodNotAllowed.

    who: finds who asks. Rights are judged before anything of the body is read.
    """
    event = found.find(name)
    if event is None:
        raise refusals.no_such("event", name)
    format_ = chosen(HTML, JSON)
    asking = who()
    if request.method in ("GET", "HEAD"):
        if format_ == JSON:
            raise MethodNotAllowed(["POST"])
        return rendering.form(found, event, _name(asking))
    access.require(asking, event)
    check_site()
    value = event.run(asking, *_values(event, _name(asking)))
    return answer(value) if format_ == JSON else rendering.result(found, event, value, _name(asking))


def check_site() -> None:
    """Let no other site's page send a request in its reader's name: browsers send Basic credentials on their own. Raises Refusal 403."""
    if mounted.cross_site(request.host):
        raise refusals.cross_site()


def json_body() -> Any:
    """Read the body as JSON; None when there is none. Raises Refusal 400, 415."""
    content = request.get_data()
    if not content.strip():
        return None
    if request.mimetype != "application/json":
        raise refusals.unsupported_media_type()
    try:
        return json.loads(content, parse_constant=_not_json)
    except json.JSONDecodeError as error:
        raise refusals.invalid_request(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except (ValueError, RecursionError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "nested too deeply, or a number that JSON does not have"
        raise refusals.invalid_request(f"the body is not JSON: {reason}.") from None


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Render an error: plain text, or a page for a browser."""
    if code in _AS_SEED and parts().settings.strict_status == SEED:
        status = 400
    asked = request.args.get("f", "").upper()
    if asked == HTML or (not asked and prefers_html(request.headers.get("Accept", ""))):
        return rendering.failure(status, message)
    return Response(message, status, mimetype="text/plain")


def register(app: Flask) -> None:
    """Add what happens to every answer."""

    @app.after_request
    def finish(answer: Response) -> Response:
        answer.headers.setdefault("Cache-Control", "no-store")
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        answer.headers.setdefault("Referrer-Policy", "no-referrer")  # the token may be in the address
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


def _name(asking: Caller | Seat) -> str:
    """Name who asks, for the token in a form."""
    return f"user:{asking.user.id}" if isinstance(asking, Caller) else f"session:{asking.session.id}"


def _values(event: Event, user: str) -> Sequence[Any]:
    if request.mimetype in _FORMS:
        fields = dict(request.form.items())
        token = fields.pop(rendering.FIELD, None)
        if token is not None and not rendering.is_form_token(user, token):
            raise refusals.form_expired()
        return events.from_form(event, fields)
    sent = json_body()
    if sent is None:
        sent = []
    if isinstance(sent, dict):
        return events.by_name(event, sent)
    if isinstance(sent, list):
        return events.by_position(event, sent)
    raise refusals.invalid_request(f"{event.name} takes a list: [{events.signature(event)}].")


def _not_json(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's
