"""The interaction queue over HTTP, for visitors (`exhibition`) and the installation (`generator`).

The three changes of the original are GETs, as there, and POSTs with the same parameters; leaving, which is ours, is a POST only. No answer
may be cached. The two feeds are long polls or, with `Accept: text/event-stream`, streams of server-sent events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response, jsonify, request
from werkzeug.exceptions import MethodNotAllowed

from services.common.documented import Blueprint
from services.common.held import ClientConnection
from services.tokens import refusals, web
from services.tokens.access import EXHIBITION, GENERATOR
from services.tokens.queue import schemas
from services.tokens.schemas import ErrorText, as_text
from services.tokens.web import parts

BODY_LIMIT = 64 * 1024  # bytes of a POST, which holds an id and three words
RETRY_MS = 2000  # what a stream's client waits before it connects again
_TIME_OVER = "The time is over; ask again with the same parameters. No body."

blueprint = Blueprint("queue", __name__, description="The interaction queue.")


@blueprint.after_request
def not_cached(answer: Response) -> Response:
    """Forbid caches to keep any answer of the queue."""
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.route("/request_interaction", methods=["GET", "POST"])
@blueprint.response(200, schemas.Requested)
@blueprint.alt_response(423, schema=ErrorText, description="`queue limit reached`")
@blueprint.doc(**web.ROLE)
def request_interaction() -> Response:
    """Ask for a turn (exhibition)."""
    web.require(EXHIBITION)
    _changing()
    return jsonify(parts().queue.request())


@blueprint.route("/deposit_interaction", methods=["GET", "POST"])
@blueprint.arguments(schemas.DepositQuery(), location="query")
@blueprint.response(200, description="Deposited. No body.")
@blueprint.alt_response(400, schema=ErrorText, description="`id missing`, `keywords missing`, `exactly three keywords needed`, …")
@blueprint.alt_response(404, schema=ErrorText, description="`not found`")
@blueprint.doc(**web.ROLE)
def deposit_interaction(query: dict[str, str]) -> Response:
    """Hand in three keywords (exhibition)."""
    web.require(EXHIBITION)
    given = _changing() | query
    parts().queue.deposit(given.get("id"), given.get("keywords"))
    return Response(status=200)


@blueprint.get("/interaction_updates")
@blueprint.arguments(schemas.UpdatesQuery(), location="query")
@blueprint.response(200, schemas.Update)
@blueprint.alt_response(400, schema=ErrorText, description="`id missing`, `invalid since`")
@blueprint.alt_response(404, schema=ErrorText, description="`not found`")
@blueprint.alt_response(503, schema=ErrorText, description="`too many waiting requests`")
@blueprint.alt_response(504, description=_TIME_OVER)
@blueprint.doc(**web.ROLE)
def interaction_updates(query: dict[str, str]) -> Response:
    """Follow one interaction: its newest state after `since`, as soon as there is one (exhibition)."""
    web.require(EXHIBITION)
    if _wants_stream():
        return _stream(parts().queue.updates(query.get("id"), _last_seen(query), _connection()))
    return _answer(parts().queue.next_update(query.get("id"), query.get("since"), query.get("timeout"), _connection()))


@blueprint.post("/leave_interaction")
@blueprint.arguments(schemas.LeaveQuery(), location="query")
@blueprint.response(200, description="Left. No body.")
@blueprint.alt_response(400, schema=ErrorText, description="`id missing`")
@blueprint.alt_response(404, schema=ErrorText, description="`not found`")
@blueprint.alt_response(409, schema=ErrorText, description="`already done`")
@blueprint.doc(**web.ROLE)
def leave_interaction(query: dict[str, str]) -> Response:
    """Give up a turn that has no token yet; its place is free (exhibition)."""
    web.require(EXHIBITION)
    given = _changing() | query
    parts().queue.leave(given.get("id"))
    return Response(status=200)


@blueprint.get("/queue_pace")
@blueprint.response(200, schemas.Pace)
@blueprint.doc(**web.ROLE)
def queue_pace() -> Response:
    """How long a turn takes, as the last ones did (exhibition)."""
    web.require(EXHIBITION)
    return jsonify(parts().queue.pace())


@blueprint.get("/new_interaction_updates")
@blueprint.arguments(schemas.FeedQuery(), location="query")
@blueprint.response(200, schemas.NewInteraction)
@blueprint.alt_response(400, schema=ErrorText, description="`invalid since`")
@blueprint.alt_response(503, schema=ErrorText, description="`too many waiting requests`")
@blueprint.alt_response(504, description=_TIME_OVER)
@blueprint.doc(**web.ROLE)
def new_interaction_updates(query: dict[str, str]) -> Response:
    """The first interaction that became new after `since`, as soon as there is one (generator)."""
    web.require(GENERATOR)
    if _wants_stream():
        return _stream(parts().queue.new_interactions(_last_seen(query), _connection()))
    return _answer(parts().queue.next_new(query.get("since"), query.get("timeout"), _connection()))


@blueprint.get("/waiting_interactions")
@blueprint.arguments(schemas.WaitingQuery(), location="query")
@blueprint.response(200, schemas.Deposited(many=True))
@blueprint.alt_response(400, schema=ErrorText, description="`invalid timestamp`")
@blueprint.doc(**web.ROLE)
def waiting_interactions(query: dict[str, str]) -> Response:
    """Interactions that wait for their token, for a generator that starts again (generator)."""
    web.require(GENERATOR)
    return jsonify(parts().queue.waiting(query.get("since")))


@blueprint.route("/update_interaction", methods=["GET", "POST"])
@blueprint.arguments(schemas.UpdateQuery(), location="query")
@blueprint.response(200, description="Updated. No body.")
@blueprint.alt_response(400, schema=ErrorText, description="`id missing`, `queue_position or token_id required`, …")
@blueprint.alt_response(404, schema=ErrorText, description="`interaction not found`, `token not found`")
@blueprint.alt_response(409, schema=ErrorText, description="`already done`")
@blueprint.doc(**web.ROLE)
def update_interaction(query: dict[str, str]) -> Response:
    """Say an interaction's position, or hand over its token (generator)."""
    web.require(GENERATOR)
    given = _changing() | query
    parts().queue.update(given.get("id"), given.get("queue_position"), given.get("token_id"))
    return Response(status=200)


def _changing() -> dict[str, str]:
    """The parameters in a POST's body, JSON or a form. Raises MethodNotAllowed for HEAD, which changes nothing; Refusal for bad JSON;
    RequestEntityTooLarge.
    """
    if request.method == "HEAD":
        raise MethodNotAllowed(["GET", "POST"])
    if request.method != "POST":
        return {}
    request.max_content_length = BODY_LIMIT
    data: Mapping[str, Any] = request.form
    if request.is_json and request.get_data():
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            raise refusals.invalid_json()
        data = body
    known = {"id", "keywords", "queue_position", "token_id"}
    return {name: as_text(value) for name, value in data.items() if name in known and value is not None}


def _answer(found: dict[str, Any] | None) -> Response:
    return Response(status=504) if found is None else jsonify(found)


def _connection() -> ClientConnection:
    return ClientConnection(request.environ.get("gunicorn.socket"))


def _wants_stream() -> bool:
    return "text/event-stream" in request.headers.get("Accept", "")


def _last_seen(query: Mapping[str, str]) -> str | None:
    """A browser that connects again says what it saw last in a header."""
    return request.headers.get("Last-Event-ID") or query.get("since")


def _stream(events: Iterator[dict[str, Any] | None]) -> Response:
    """Server-sent events: each with its `seq` as id. Takes a place of its own for as long as it lasts. Raises Refusal 503."""
    places = parts().places
    places.take()

    def write() -> Iterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        for event in events:
            yield ": alive\n\n" if event is None else f"id: {event['seq']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"

    answer = Response(write(), content_type="text/event-stream; charset=utf-8")
    answer.headers["X-Accel-Buffering"] = "no"
    answer.call_on_close(places.leave)
    return answer
