"""The interaction queue over HTTP, for visitors (`exhibition`) and the installation (`generator`).

The original's three changes are GETs, as there, and POSTs with the same parameters; leaving, which is ours, is a POST alone. No answer
here may be cached. The two feeds are long polls or, with `Accept: text/event-stream`, streams of server-sent events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response, jsonify, request
from werkzeug.exceptions import MethodNotAllowed

from services.common.documented import Blueprint
from services.tokens import refusals, schemas
from services.tokens.clients import RoleTokens
from services.tokens.polls import Caller, Places
from services.tokens.queue_service import Queue

EXHIBITION = frozenset({"exhibition"})
GENERATOR = frozenset({"generator"})
BODY_LIMIT = 64 * 1024  # bytes of a POST, which holds an id and three words
RETRY_MS = 2000  # what a stream's client waits before it connects again
_ROLE: dict[str, Any] = {"security": [{"role": []}]}
_TIME_OVER = "The time is over; ask again with the same parameters. No body."


def blueprint(queue: Queue, roles: RoleTokens, places: Places) -> Blueprint:
    """The routes of the queue."""
    blp = Blueprint("queue", "queue", description="The interaction queue.")

    @blp.after_request
    def not_cached(answer: Response) -> Response:
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @blp.route("/request_interaction", methods=["GET", "POST"])
    @blp.response(200, schemas.Requested)
    @blp.alt_response(423, schema=schemas.ErrorText, description="`queue limit reached`")
    @blp.doc(**_ROLE)
    def request_interaction() -> Response:
        """Ask for a turn (exhibition)."""
        roles.require(request.headers, EXHIBITION)
        _changing()
        return jsonify(queue.request())

    @blp.route("/deposit_interaction", methods=["GET", "POST"])
    @blp.arguments(schemas.DepositQuery(), location="query")
    @blp.response(200, description="Deposited. No body.")
    @blp.alt_response(400, schema=schemas.ErrorText, description="`id missing`, `keywords missing`, `exactly three keywords needed`, …")
    @blp.alt_response(404, schema=schemas.ErrorText, description="`not found`")
    @blp.doc(**_ROLE)
    def deposit_interaction(query: dict[str, str]) -> Response:
        """Hand in three keywords (exhibition)."""
        roles.require(request.headers, EXHIBITION)
        given = _changing() | query
        queue.deposit(given.get("id"), given.get("keywords"))
        return Response(status=200)

    @blp.get("/interaction_updates")
    @blp.arguments(schemas.UpdatesQuery(), location="query")
    @blp.response(200, schemas.Update)
    @blp.alt_response(400, schema=schemas.ErrorText, description="`id missing`, `invalid since`")
    @blp.alt_response(404, schema=schemas.ErrorText, description="`not found`")
    @blp.alt_response(503, schema=schemas.ErrorText, description="`too many waiting requests`")
    @blp.alt_response(504, description=_TIME_OVER)
    @blp.doc(**_ROLE)
    def interaction_updates(query: dict[str, str]) -> Response:
        """Follow one interaction: its newest state after `since`, as soon as there is one (exhibition)."""
        roles.require(request.headers, EXHIBITION)
        if _wants_stream():
            return _stream(queue.updates(query.get("id"), _last_seen(query), _caller()), places)
        return _answer(queue.next_update(query.get("id"), query.get("since"), query.get("timeout"), _caller()))

    @blp.post("/leave_interaction")
    @blp.arguments(schemas.LeaveQuery(), location="query")
    @blp.response(200, description="Left. No body.")
    @blp.alt_response(400, schema=schemas.ErrorText, description="`id missing`")
    @blp.alt_response(404, schema=schemas.ErrorText, description="`not found`")
    @blp.alt_response(409, schema=schemas.ErrorText, description="`already done`")
    @blp.doc(**_ROLE)
    def leave_interaction(query: dict[str, str]) -> Response:
        """Give up a turn that has no token yet; its place is free (exhibition)."""
        roles.require(request.headers, EXHIBITION)
        given = _changing() | query
        queue.leave(given.get("id"))
        return Response(status=200)

    @blp.get("/queue_pace")
    @blp.response(200, schemas.Pace)
    @blp.doc(**_ROLE)
    def queue_pace() -> Response:
        """How long a turn takes, as the last ones did (exhibition)."""
        roles.require(request.headers, EXHIBITION)
        return jsonify(queue.pace())

    @blp.get("/new_interaction_updates")
    @blp.arguments(schemas.FeedQuery(), location="query")
    @blp.response(200, schemas.NewInteraction)
    @blp.alt_response(400, schema=schemas.ErrorText, description="`invalid since`")
    @blp.alt_response(503, schema=schemas.ErrorText, description="`too many waiting requests`")
    @blp.alt_response(504, description=_TIME_OVER)
    @blp.doc(**_ROLE)
    def new_interaction_updates(query: dict[str, str]) -> Response:
        """The first interaction that became new after `since`, as soon as there is one (generator)."""
        roles.require(request.headers, GENERATOR)
        if _wants_stream():
            return _stream(queue.new_interactions(_last_seen(query), _caller()), places)
        return _answer(queue.next_new(query.get("since"), query.get("timeout"), _caller()))

    @blp.get("/waiting_interactions")
    @blp.arguments(schemas.WaitingQuery(), location="query")
    @blp.response(200, schemas.Deposited(many=True))
    @blp.alt_response(400, schema=schemas.ErrorText, description="`invalid timestamp`")
    @blp.doc(**_ROLE)
    def waiting_interactions(query: dict[str, str]) -> Response:
        """Interactions that wait for their token, for a generator that starts again (generator)."""
        roles.require(request.headers, GENERATOR)
        return jsonify(queue.waiting(query.get("since")))

    @blp.route("/update_interaction", methods=["GET", "POST"])
    @blp.arguments(schemas.UpdateQuery(), location="query")
    @blp.response(200, description="Updated. No body.")
    @blp.alt_response(400, schema=schemas.ErrorText, description="`id missing`, `queue_position or token_id required`, …")
    @blp.alt_response(404, schema=schemas.ErrorText, description="`interaction not found`, `token not found`")
    @blp.alt_response(409, schema=schemas.ErrorText, description="`already done`")
    @blp.doc(**_ROLE)
    def update_interaction(query: dict[str, str]) -> Response:
        """Say an interaction's position, or hand over its token (generator)."""
        roles.require(request.headers, GENERATOR)
        given = _changing() | query
        queue.update(given.get("id"), given.get("queue_position"), given.get("token_id"))
        return Response(status=200)

    return blp


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
    return {name: schemas.as_text(value) for name, value in data.items() if name in known and value is not None}


def _answer(found: dict[str, Any] | None) -> Response:
    return Response(status=504) if found is None else jsonify(found)


def _caller() -> Caller:
    return Caller(request.environ.get("gunicorn.socket"))


def _wants_stream() -> bool:
    return "text/event-stream" in request.headers.get("Accept", "")


def _last_seen(query: Mapping[str, str]) -> str | None:
    """A browser that connects again says what it saw last in a header."""
    return request.headers.get("Last-Event-ID") or query.get("since")


def _stream(events: Iterator[dict[str, Any] | None], places: Places) -> Response:
    """Server-sent events: each with its `seq` as id. Takes a place of its own for as long as it lasts. Raises Refusal 503."""
    places.take()

    def write() -> Iterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        for event in events:
            yield ": alive\n\n" if event is None else f"id: {event['seq']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"

    answer = Response(write(), content_type="text/event-stream; charset=utf-8")
    answer.headers["X-Accel-Buffering"] = "no"
    answer.call_on_close(places.leave)
    return answer
