"""`/get_session` and `/release_session`."""

from __future__ import annotations

import ipaddress

from flask import Response, request

from services.mobility import refusals
from services.mobility.schemas import Failure, Success
from services.mobility.sessions.schemas import Key
from services.mobility.settings import ALWAYS, LOOPBACK
from services.mobility.web import WRITER, Blueprint, answer, json_body, parts, query, read_body, session_key

blueprint = Blueprint("sessions", __name__, description="Session keys, which writes need.")

_LIMIT = 16 * 1024  # bytes: nobody is known yet who sends it
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
    given = query()
    return _open(given.get("e", ""), given.get("p", ""))


@blueprint.post("/get_session")
@blueprint.response(200, Key)
@blueprint.alt_response(401, schema=Failure, description="`Not Authorized`: the e-mail or the password is wrong.")
@blueprint.alt_response(403, schema=Failure, description="Over plain HTTP.")
@blueprint.alt_response(409, schema=Failure, description="`session busy`: the owner has a live session.")
@blueprint.alt_response(413, schema=Failure, description="The body has more than 16 KiB.")
@blueprint.alt_response(422, schema=Failure, description="The body is neither JSON nor a form, or holds no texts.")
@blueprint.alt_response(429, schema=Failure, description="Too many wrong passwords.")
@blueprint.alt_response(503, schema=Failure, description="Accounts cannot be checked now.")
@blueprint.doc(requestBody=_LOGIN_BODY)
def post_session() -> Response:
    """Start a session, with the e-mail and the password in the body."""
    content = read_body(_LIMIT)  # before the form, which leaves nothing to read
    given = request.form if request.form and not content.lstrip().startswith(b"{") else json_body(_LIMIT)
    email, password = given.get("e", ""), given.get("p", "")
    if not isinstance(email, str) or not isinstance(password, str):
        raise refusals.invalid("'e' and 'p' must be texts: the e-mail and the password", "login-invalid")
    return _open(email, password)


@blueprint.get("/release_session")
@blueprint.doc(**WRITER)
@blueprint.response(200, Success)
@blueprint.alt_response(401, schema=Failure, description="`Not Authorized`: the key is unknown or has ended.")
def release_session() -> Response:
    """End the session, so that the owner can start another at once."""
    parts().sessions.release(session_key())
    return answer()


def _open(email: str, password: str) -> Response:
    plain = parts().settings.plain_login
    loopback = ipaddress.ip_address(request.remote_addr or "::").is_loopback
    if request.scheme != "https" and plain != ALWAYS and not (plain == LOOPBACK and loopback):
        raise refusals.needs_https()
    return answer(results=[parts().sessions.open(email, password, request.remote_addr)])
