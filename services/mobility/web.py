"""What every route needs: the parts, who writes, how bodies are read, how answers and errors look."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from services.common import documented
from services.mobility import paging, refusals
from services.mobility.access import Caller
from services.mobility.paging import Page
from services.mobility.schemas import Failure
from services.mobility.wiring import Parts

NAME = "Gatehouse mobility"
DESCRIPTION = "Nodes, layers and what layers say of nodes, as CitySDK's Mobility API has them."
VERSION = "1.0.0"
BODY_LIMIT = 10 * 1024 * 1024  # bytes, of bulks and matches
SMALL_BODY_LIMIT = 1024 * 1024  # bytes, of all else: the largest record, with every letter escaped, is smaller
PLACE_S = 10.0  # that a large body waits for its place
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")  # escaped; a backslash that is escaped itself begins nothing
WRITER: dict[str, Any] = {"security": [{"session": []}, {"token": []}]}  # for the OpenAPI document: the call writes
HEADERS = (  # of every answer. Any page may ask (CORS): a credential travels only in a header that the page itself sets
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, ETag, Link"),
)
_REFUSED: Mapping[int, str | None] = {  # by every write
    401: "`Not Authorized`",
    403: "The layer is another owner's.",
    404: "There is no such layer.",
    503: "Accounts cannot be checked now.",
}
Blueprint = documented.Blueprint
R = TypeVar("R")
View = TypeVar("View", bound=Callable[..., Any])


def writes(blueprint: Blueprint, refused: Mapping[int, str | None], **doc: Any) -> Callable[[View], View]:
    """Document a route that writes: that it needs a session key or a token, and how it says no.

    refused: descriptions by status, besides the usual ones or in their place; None: this one does not occur. doc: OpenAPI's own words.
    """

    def document(view: View) -> View:
        for status, description in {**_REFUSED, **refused}.items():
            if description is not None:
                view = blueprint.alt_response(status, schema=Failure, description=description)(view)
        return blueprint.doc(**WRITER, **doc)(view)

    return document


def parts() -> Parts:
    """Return the parts of the application that answers this request."""
    found: Parts = current_app.extensions["mobility"]
    return found


def caller() -> Caller:
    """Return who writes; looked up once a request. Raises Refusal 401, 403, 503."""
    found: Caller | None = g.get("caller")
    if found is None:
        found = g.caller = _caller()
    return found


def session_key() -> str:
    """Return the session key that is shown; empty without one."""
    return request.headers.get("X-Auth", "").strip()


def _caller() -> Caller:
    key = session_key()
    shown = request.authorization
    if not key and shown is not None and shown.type == "bearer" and shown.token:
        return parts().owners.by_token(shown.token)
    return parts().sessions.caller(key)


def small_json_body() -> dict[str, Any]:
    """Read a body as `json_body` does, of at most SMALL_BODY_LIMIT."""
    return json_body(SMALL_BODY_LIMIT)


def json_body(limit: int = BODY_LIMIT) -> dict[str, Any]:
    """Read the body as a JSON object, whatever its Content-Type says: the original's client names a form.

    limit: bytes. Raises Refusal 413, 422, and 503 for a large body when others are at work for too long.
    """
    content = read_body(limit)
    if len(content) > SMALL_BODY_LIMIT:
        _take_place()
    try:
        found = _decoded(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise refusals.json_invalid(str(error)) from None
    except UnicodeDecodeError:
        raise refusals.json_invalid("the body is not UTF-8") from None
    if not isinstance(found, dict):
        raise refusals.json_invalid('the body must be an object, such as {"data": {…}}')
    if _NUL.search(content):
        raise refusals.json_invalid("the body holds the character U+0000, which the database does not")
    return found


def read_json_body(read: Callable[[dict[str, Any]], R]) -> R:
    """Read the body as `json_body` does, and make something smaller of it, which is returned; then the next large body may come.

    When `read` refuses it, the next one comes after the request: until then the refusal's traceback keeps the body.
    """
    found = read(json_body())
    _leave_place()
    return found


def _decoded(content: bytes) -> Any:
    """Decode JSON without collections of garbage, of which there is none yet: for 3,000,000 arrays they take 2 s, the rest takes 0.3 s.

    All other threads wait meanwhile, so that none of them needs the collector.
    """
    gc.disable()
    try:
        return msgspec.json.decode(content)
    finally:
        gc.enable()


def read_body(limit: int) -> bytes:
    """Read the body. limit: bytes. Raises Refusal 413."""
    request.max_content_length = limit
    try:
        content: bytes = request.get_data()
    except RequestEntityTooLarge:
        raise refusals.body_too_large(limit) from None
    return content


def _take_place() -> None:
    """Wait for the place of a large body: decoded it may take twenty times as much memory. After the request the place is free again.

    Raises Refusal 503.
    """
    if "has_place" in g:
        return
    if not parts().large_bodies.acquire(timeout=PLACE_S):
        raise refusals.too_many_large_bodies()
    g.has_place = True


def query() -> dict[str, str]:
    """Return the parameters of the address; of one that comes twice the last, as in the original."""
    return dict(request.args.items(multi=True))


def _leave_place() -> None:
    if g.pop("has_place", False):
        parts().large_bodies.release()


def flag(name: str) -> bool:
    """Read a parameter that is true or false; without it, false. Raises Refusal 422: a write must not guess."""
    given = query().get(name, "").lower()
    if given not in ("true", "1", "false", "0", ""):
        raise refusals.invalid(f"'{name}' must be true or false.", f"{name.replace('_', '-')}-invalid")
    return given in ("true", "1")


def answer(value: Mapping[str, Any] | None = None, **more: Any) -> Response:
    """Answer with success. value, more: what stands beside `status`."""
    body = {"status": "success", **(value or {}), **more}
    return Response(json.dumps(body, ensure_ascii=False, separators=(",", ":")), mimetype="application/json")


def listing(page: Page, results: Sequence[Any], *, more: bool, total: int | None) -> Response:
    """Answer with a page of a list. more: there are some after it. total: of all pages, if it was counted."""
    head = paging.head(page, len(results), more=more, total=total)
    return link_next(answer(url=request.url, **head, results=results), page, more=more)


def link_next(response: Response, page: Page, *, more: bool) -> Response:
    """Let `Link` lead to the next page, when there is one (RFC 8288)."""
    if more:
        response.headers["Link"] = f'<{paging.next_url(request.url, page)}>; rel="next"'
    return response


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Render an error in the original's shape: `{"status": "fail", "message": <text>}`, and what the refusal adds."""
    body = {"status": "fail", "message": message, **(fields or {})}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, mimetype="application/json")  # a name may hold half a character


def register(app: Flask) -> None:
    """Add what happens before and after every route, and what the OpenAPI document says of all."""
    components = app.extensions["api"].spec.components
    components.security_scheme("session", {"type": "apiKey", "in": "header", "name": "X-Auth"})
    components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    components.schemas["Error"] = app.extensions["api"].ma_plugin.converter.schema2jsonschema(Failure())  # not flask-smorest's

    @app.before_request
    def admit() -> None:
        if "\x00" in request.path or b"%00" in request.query_string:  # PostgreSQL's texts do not hold it
            raise refusals.invalid("The address holds the character U+0000.", "nul-in-address")

    @app.teardown_request
    def leave_place(_: BaseException | None) -> None:
        _leave_place()

    @app.after_request
    def finish(answer: Response) -> Response:
        for name, value in HEADERS:
            answer.headers.setdefault(name, value)
        if request.method == "OPTIONS":
            answer.status_code = 204
            answer.set_data(b"")
            answer.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST, PUT, DELETE"
            answer.headers["Access-Control-Allow-Headers"] = "X-Auth, Content-Type, Authorization, If-Match, If-None-Match, X-Request-Id"
            answer.headers["Access-Control-Max-Age"] = "600"
        return answer
