"""`/get_session` and `/release_session`."""

from __future__ import annotations

from flask import Response, request

from services.mobility import refusals
from services.mobility.schemas import Failure, Success
from services.mobility.sessions.schemas import Key
from services.mobility.settings import ALWAYS, LOOPBACK
from services.mobility.web import WRITER, Blueprint, answer, json_body, parts

blueprint = Blueprint("sessions", __name__, description="Session keys, which writes need.")

_LOGIN_BODY = {
    "required": True,
    "content": {
        media: {"schema": {"type": "object", "properties": {"e": {"type": "string"}, "p": {"type": "string"}}, "required": ["e", "p"]}}
        for media in ("application/json", "application/x-www-form-urlencoded")
    },
}


@blueprint.get("/get_session")
@blueprint.response(200, Key)
@blueprint.alt_response(401, schema=Failure, description="`Not Authorized`: the e-mail or the password is wrong.")
@blueprint.alt_response(403, schema=Failure, description="Over plain HTTP.")
@blueprint.alt_response(409, schema=Failure, description="`session busy`: the owner has a live session.")
@blueprint.alt_response(429, schema=Failure, description="Too many wrong passwords.")
@blueprint.alt_response(503, schema=Failure, description="Accounts cannot be checked now.")
@blueprint.doc(
    parameters=[
        {"name": "e", "in": "query", "description": "E-mail.", "schema": {"type": "string"}},
        {"name": "p", "in": "query", "description": "Password.", "schema": {"type": "string", "format": "password"}},
    ]
)
def get_session() -> Response:
    """Start a session: a key for one minute. Prefer POST, which keeps the password out of addresses."""
    return _open(request.args.get("e", ""), request.args.get("p", ""))


@blueprint.post("/get_session")
@blueprint.response(200, Key)
@blueprint.alt_response(401, schema=Failure, description="`Not Authorized`: the e-mail or the password is wrong.")
@blueprint.alt_response(403, schema=Failure, description="Over plain HTTP.")
@blueprint.alt_response(409, schema=Failure, description="`session busy`: the owner has a live session.")
@blueprint.alt_response(422, schema=Failure, description="The body is neither JSON nor a form.")
@blueprint.alt_response(429, schema=Failure, description="Too many wrong passwords.")
@blueprint.alt_response(503, schema=Failure, description="Accounts cannot be checked now.")
@blueprint.doc(requestBody=_LOGIN_BODY)
def post_session() -> Response:
    """Start a session, with the e-mail and the password in the body."""
    given = json_body() if not request.form else request.form
    return _open(str(given.get("e", "")), str(given.get("p", "")))


@blueprint.get("/release_session")
@blueprint.doc(**WRITER)
@blueprint.response(200, Success)
@blueprint.alt_response(401, schema=Failure, description="`Not Authorized`: the key is unknown or has ended.")
def release_session() -> Response:
    """End the session, so that the owner can start another at once."""
    parts().sessions.release(request.headers.get("X-Auth", ""))
    return answer()


def _open(email: str, password: str) -> Response:
    plain = parts().settings.plain_login
    loopback = request.remote_addr in ("127.0.0.1", "::1")
    if request.scheme != "https" and plain != ALWAYS and not (plain == LOOPBACK and loopback):
        raise refusals.needs_https()
    return answer(results=[parts().sessions.open(email, password, request.remote_addr)])
