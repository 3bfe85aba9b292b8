"""What every route needs: the parts, who asks, how errors and answers look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response, current_app, request

from services.tokens import access
from services.tokens.access import Caller
from services.tokens.wiring import Parts

BODY_LIMIT = 2 * 1024 * 1024  # bytes: an SVG of 1 MB, escaped
ROLE: dict[str, Any] = {"security": [{"role": []}]}  # for the OpenAPI document: the call needs a role token

_WORDING = {
    "database-unavailable": "db down",
    "database-full": "db full",
    "database-read-only": "db read-only",
    "internal-error": "other error",
}


def parts() -> Parts:
    """The parts of the application that answers this request."""
    found: Parts = current_app.extensions["tokens"]
    return found


def require(subject: str) -> Caller:
    """The caller, who must have this role. Raises Refusal 401, 403 or 503."""
    caller = parts().role_tokens.caller(request.headers)
    access.require(caller, subject)
    return caller


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Errors in the original's shape: `{"error": "<text>"}`."""
    body = json.dumps({"error": _WORDING.get(code, message)}, ensure_ascii=False)
    return Response(body, status, mimetype="application/json")


def open_to_all_origins(answer: Response) -> Response:
    """CORS as the original: any page may ask; a credential travels only in a header that the page itself sets."""
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After, ETag"
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        answer.status_code = 204
        answer.set_data(b"")
        answer.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST, PUT, DELETE"
        answer.headers["Access-Control-Allow-Headers"] = (
            "Authorization, Authentication, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id"
        )
        answer.headers["Access-Control-Max-Age"] = "600"
    return answer
