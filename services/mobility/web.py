"""What every route needs: the parts, who writes, how bodies are read, how answers and errors look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Flask, Response, current_app, g, request

from services.common import documented
from services.mobility import refusals
from services.mobility.access import Caller
from services.mobility.schemas import Failure
from services.mobility.wiring import Parts

NAME = "Gatehouse mobility"
DESCRIPTION = "Nodes, layers and what layers say of nodes, as CitySDK's Mobility API has them."
VERSION = "1.0.0"
BODY_LIMIT = 10 * 1024 * 1024  # bytes
WRITER: dict[str, Any] = {"security": [{"session": []}, {"token": []}]}  # for the OpenAPI document: the call writes
HEADERS = (  # of every answer. Any page may ask (CORS): a credential travels only in a header that the page itself sets
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, ETag, Link"),
)
Blueprint = documented.Blueprint


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


def _caller() -> Caller:
    key = request.headers.get("X-Auth", "").strip()
    shown = request.authorization
    if not key and shown is not None and shown.type == "bearer" and shown.token:
        return parts().owners.by_token(shown.token)
    return parts().sessions.caller(key)


def json_body() -> dict[str, Any]:
    """Read the body as a JSON object, whatever its Content-Type says: the original's client names a form. Raises Refusal 422."""
    content = request.get_data()
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise refusals.json_invalid(str(error)) from None
    except UnicodeDecodeError:
        raise refusals.json_invalid("the body is not UTF-8") from None
    if not isinstance(found, dict):
        raise refusals.json_invalid('the body must be an object, such as {"data": {…}}')
    if b"\\u0000" in content:
        raise refusals.json_invalid("the body holds the character U+0000, which the database does not")
    return found


def flag(name: str) -> bool:
    """Read a parameter that is true or false; without it, false. Raises Refusal 422: a write must not guess."""
    given = request.args.get(name, "").lower()
    if given not in ("true", "1", "false", "0", ""):
        raise refusals.invalid(f"'{name}' must be true or false.", f"{name.replace('_', '-')}-invalid")
    return given in ("true", "1")


def answer(value: Mapping[str, Any] | None = None, **more: Any) -> Response:
    """Answer with success. value, more: what stands beside `status`."""
    body = {"status": "success", **(value or {}), **more}
    return Response(json.dumps(body, ensure_ascii=False, separators=(",", ":")), mimetype="application/json")


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
