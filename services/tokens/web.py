"""What every route needs: the parts, who asks, how errors and answers look."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from mmap import mmap
from typing import Any

from flask import Response, current_app, request
from werkzeug.exceptions import PreconditionFailed

from services.tokens import access
from services.tokens.access import Caller
from services.tokens.wiring import Parts

NAME = "Tokens for Climate Care API"
DESCRIPTION = "Access archived tokens and the interaction queue of the installation."
VERSION = "1.0.3"
BODY_LIMIT = 2 * 1024 * 1024  # bytes: an SVG of 1 MB, escaped
SENT = 64 * 1024  # bytes handed to the server at once, or a few more
IMMUTABLE = "public, max-age=31536000, immutable"
ROLE: dict[str, Any] = {"security": [{"role": []}]}  # for the OpenAPI document: the call needs a role token

_WORDING = {
    "database-unavailable": "db down",
    "database-full": "db full",
    "database-read-only": "db read-only",
    "internal-error": "other error",
}


def parts() -> Parts:
    """Return the parts of the application that answers this request."""
    found: Parts = current_app.extensions["tokens"]
    return found


def require(subject: str) -> Caller:
    """Return the caller, who must have this role. Raises Refusal 401, 403, 503."""
    caller = parts().role_tokens.caller(request.headers)
    access.require(caller, subject)
    return caller


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Render an error in the original's shape: `{"error": "<text>"}`."""
    body = json.dumps({"error": _WORDING.get(code, message)}, ensure_ascii=False)
    return Response(body, status, mimetype="application/json")


def open_to_all_origins(answer: Response) -> Response:
    """Let any page ask, as the original does (CORS): a credential travels only in a header that the page itself sets."""
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


def unchanged(tag: str) -> bool:
    """Say whether the client has the content of this ETag already, so that nothing needs to be read.

    Raises PreconditionFailed when `If-Match` names only others.
    """
    if request.if_match and not request.if_match.contains(tag):
        raise PreconditionFailed
    return request.if_none_match.contains_weak(tag)


def immutable(answer: Response, tag: str) -> Response:
    """Let anybody keep the answer for ever. Answers 304 when the client has it.

    Werkzeug does not decide this: it would count the bytes of an answer in pieces, and so have all of them in memory.
    """
    answer.headers["Cache-Control"] = IMMUTABLE
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.set_etag(tag)
    if unchanged(tag):
        answer.status_code = 304
    return answer


def attach(answer: Response, name: str) -> None:
    """Let a browser save the answer under this name."""
    assert re.fullmatch(r"[a-z0-9.-]+", name)
    answer.headers["Content-Type"] = "application/octet-stream"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'


def answer_whole(pieces: Iterable[bytes], content_type: str) -> Response:
    """Answer with all pieces at once."""
    return Response(b"".join(pieces), content_type=content_type)


def answer_in_parts(pieces: Iterable[bytes], content_type: str) -> Response:
    """Answer in parts that are created while the answer is sent.

    The first part is created before the answer begins, so that what is wrong then can still be said.
    """
    parts = _gathered(pieces)
    return Response(itertools.chain([next(parts)], parts), content_type=content_type)


def answer_from_memory(content: mmap | bytes, content_type: str) -> Response:
    """Answer with bytes that need not be copied as a whole."""
    answer = Response((content[begin : begin + SENT] for begin in range(0, len(content), SENT)), content_type=content_type)
    answer.content_length = len(content)
    return answer


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in parts that are worth a system call. While one is sent, nothing else of them is kept."""
    held = io.BytesIO()
    for piece in pieces:
        held.write(piece)
        del piece
        if held.tell() >= SENT:
            part = held.getvalue()
            held = io.BytesIO()
            yield part
            del part
    yield held.getvalue()
