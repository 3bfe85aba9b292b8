"""What has changed in a session, told as it happens: a long poll, or a stream of server-sent events."""

from __future__ import annotations

import json
from typing import Any, Final

from flask import Blueprint, Flask, Response, request

from services.common.held import ClientConnection
from services.sessions import bodies, levels, refusals
from services.sessions.access import Seat
from services.sessions.events.events import Event
from services.sessions.events.kinds import integer, optional
from services.sessions.items.rules import lists
from services.sessions.updates import rules
from services.sessions.updates.rules import Known
from services.sessions.web import HTML, JSON, chosen, done, form, form_fields, json_body, parts, seat

RESYNC = "X-Full-Resync"
STREAM = "text/event-stream"

blueprint = Blueprint("updates", __name__)


def register(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(blueprint)


@blueprint.route("/api/session/update/", methods=["GET", "POST"], defaults={"slot": None})
@blueprint.route("/api/slots/<int:slot>/update/", methods=["GET", "POST"])
def update(slot: int | None) -> Response:
    """Answer what the client does not know of the lists that it names, at once or when there is something: 204 when there was nothing.

    It sends the versions that it has, by list: {"BUILDINGS": 12}. Nothing means all lists.
    """
    here = seat(slot, following=True)
    connection = ClientConnection(request.environ.get("gunicorn.socket"))
    if STREAM in request.headers.get("Accept", "").lower():
        return _stream(here, connection)
    if request.method != "POST":
        return form(_FORM, here)
    as_page = chosen(HTML, JSON) == HTML
    known = _known(here)
    seconds = rules.read_timeout(request.args.get("timeout", "0" if as_page else None))  # no reader waits for a page
    found = parts().updates.poll(here, known, seconds, connection)
    if found is None and not as_page:
        answer = Response(status=204)
        del answer.headers["Content-Type"]
        return answer
    body = b"null" if found is None else found.body
    answer = done(_FORM, here, json.loads(body)) if as_page else Response(body, mimetype="application/json")
    if found is not None and found.resync:
        answer.headers[RESYNC] = "1"
    return answer


_FORM: Final = Event(
    ("update",),
    levels.JOIN_ONLY,
    tuple(optional(name, integer(rules.NOTHING), "Version that you have of this list; -1 for nothing.") for name in lists.ALL),
    update,
    changes=False,
)


def _stream(here: Seat, connection: ClientConnection) -> Response:
    known = _resumed() or _known(here)
    updates = parts().updates
    updates.take()
    answer = Response(
        updates.follow(here, known, connection, active=request.method == "POST"), mimetype=STREAM, headers={"X-Accel-Buffering": "no"}
    )
    answer.call_on_close(updates.leave)
    return answer


def _known(here: Seat) -> Known:
    afresh = request.args.get("force", "").lower() in ("true", "1")
    if request.method == "GET":
        sent: Any = {name: value for name, value in request.args.items() if lists.find(name)}
    elif bodies.is_form(request):
        sent = {name: value for name, value in form_fields(here).items() if value.strip()}
    else:
        sent = json_body()
    return rules.read_versions(sent, afresh=afresh)


def _resumed() -> Known | None:
    """Read what the client had, as its last event said; None when it begins."""
    last = request.headers.get("Last-Event-ID")
    if not last:
        return None
    try:
        return rules.read_versions(json.loads(last))
    except (ValueError, RecursionError):
        raise refusals.invalid_request("Last-Event-ID is the id of an event of this stream.") from None
