"""What has changed in a session, told as it happens: a long poll, or a stream of server-sent events."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import MethodNotAllowed

from services.common.documented import Blueprint
from services.common.held import ClientConnection
from services.sessions import bodies, forms, refusals
from services.sessions.access import Seat
from services.sessions.items.rules import lists
from services.sessions.updates import rules
from services.sessions.updates.rules import Known
from services.sessions.web import HTML, JSON, chosen, json_body, parts, seat, show

RESYNC = "X-Full-Resync"
STREAM = "text/event-stream"

blueprint = Blueprint("updates", __name__, description="What has changed in a session, as it happens.")


def register(app: Flask) -> None:
    """Add the routes."""
    app.extensions["api"].register_blueprint(blueprint)


@blueprint.route("/api/session/update/", methods=["GET", "POST"], defaults={"slot": None})
@blueprint.route("/api/slots/<int:slot>/update/", methods=["GET", "POST"])
def update(slot: int | None) -> Response:
    """Answer what the client does not know of the lists that it names, at once or when there is something: 204 when there was nothing."""
    here = seat(slot, following=True)
    connection = ClientConnection(request.environ.get("gunicorn.socket"))
    if STREAM in request.headers.get("Accept", "").lower():
        return _stream(here, connection)
    if request.method != "POST":
        raise MethodNotAllowed(["POST"])
    format_ = chosen(HTML, JSON)
    known = _known()
    found = parts().updates.poll(here, known, rules.read_timeout(request.args.get("timeout")), connection)
    if found is None:
        answer = Response(status=204)
        del answer.headers["Content-Type"]
        return answer
    answer = Response(found.body, mimetype="application/json") if format_ == JSON else show("Changes", json.loads(found.body))
    if found.resync:
        answer.headers[RESYNC] = "1"
    return answer


def _stream(here: Seat, connection: ClientConnection) -> Response:
    known = _resumed() or _known()
    updates = parts().updates
    updates.take()
    answer = Response(
        updates.follow(here, known, connection, active=request.method == "POST"), mimetype=STREAM, headers={"X-Accel-Buffering": "no"}
    )
    answer.call_on_close(updates.leave)
    return answer


def _known() -> Known:
    afresh = request.args.get("force", "").lower() in ("true", "1")
    if request.method == "GET":
        sent: Any = {name: value for name, value in request.args.items() if lists.find(name)}
    elif bodies.is_form(request):
        sent = {name: value for name, value in bodies.fields(request).items() if value.strip() and name != forms.TOKEN}
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
