"""What every route needs: the parts, who asks, how answers and errors look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response, current_app, g, request

from services.devices import access
from services.devices.access import GENERIC, TYPED, Action, Caller, Kind
from services.devices.wiring import Parts

NAME = "Gatehouse devices"
DESCRIPTION = "Devices, their tokens, data, parameters and actions, as TagoIO's API has them."
VERSION = "1.0.0"
BODY_LIMIT = 200 * 1000  # bytes (TagoIO)
TOKEN: dict[str, Any] = {"security": [{name: []} for name in ("account", "device", "token")]}  # for the OpenAPI document

_WORDING = {
    "body-too-large": "Payload too large",
    "database-unavailable": "The database is not available now; try again",
    "database-full": "The disk of the database is full",
    "database-read-only": "The database can only be read",
    "internal-error": "Internal error",
}


def parts() -> Parts:
    """Return the parts of the application that answers this request."""
    found: Parts = current_app.extensions["devices"]
    return found


def caller() -> Caller:
    """Return who asks; looked up once a request. Raises Refusal 401, 503."""
    found: Caller | None = g.get("caller")
    if found is None:
        found = g.caller = parts().tokens.caller(_presented())
    return found


def require(action: Action, *kinds: Kind) -> Caller:
    """Return the caller, who must have one of these kinds of token with this permission. Raises Refusal 401, 403, 503."""
    found = caller()
    access.require(found, action, *kinds)
    return found


def answer(result: Any, status: int = 200, message: str | None = None) -> Response:
    """Answer in the envelope. message: makes it the warning form."""
    body: dict[str, Any] = {"status": True, "result": result}
    if message is not None:
        body["message"] = message
    return Response(json.dumps(body, ensure_ascii=False, separators=(",", ":")), status, mimetype="application/json")


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Render an error in the envelope: `{"status": false, "message", "field_errors"?}`."""
    body: dict[str, Any] = {"status": False, "message": _WORDING.get(code, message)}
    if fields:
        body["field_errors"] = fields
    return Response(json.dumps(body, ensure_ascii=False, separators=(",", ":")), status, mimetype="application/json")


def open_to_all_origins(answer: Response) -> Response:
    """Let any page ask (CORS): a token travels only in a header that the page itself sets."""
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After, ETag, Link, X-Next-Cursor"
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        answer.status_code = 204
        answer.set_data(b"")
        answer.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST, PUT, DELETE"
        answer.headers["Access-Control-Allow-Headers"] = (
            "Content-Type, Authorization, Authentication, Account-Token, Profile-Token, Device-Token, Token, Analysis-Token, "
            "Middleware-Token, Network-Token, Idempotency-Key, If-Match, X-Request-Id"
        )
        answer.headers["Access-Control-Max-Age"] = "600"
    return answer


def _presented() -> dict[str, str]:
    """The tokens of this request, by header in lower case and without `Bearer`."""
    found = {}
    for name in (*TYPED, *GENERIC):
        value = request.headers.get(name)
        if value is not None:
            scheme, _, rest = value.strip().partition(" ")
            found[name] = rest.strip() if scheme.lower() == "bearer" and rest else value.strip()
    if parts().settings.query_tokens:
        for name in (*TYPED, *GENERIC):
            value = request.args.get(name) or request.args.get(name.replace("-", "_"))
            if value:
                found.setdefault(name, value)
    return found
