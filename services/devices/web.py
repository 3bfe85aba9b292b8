"""What every route needs: the parts, who asks, how answers and errors look."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, cast

from flask import Flask, Request, Response, current_app, g, request
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser

from services.common import documented
from services.common.settings import SettingsError
from services.devices import access, refusals
from services.devices.access import GENERIC, TYPED, Action, Caller, Kind
from services.devices.registry.rules import listing
from services.devices.schemas import Failure, field_errors
from services.devices.settings import plain
from services.devices.wiring import Parts

View = TypeVar("View", bound=Callable[..., Any])

NAME = "Gatehouse devices"
DESCRIPTION = "Devices, their tokens, data, parameters and actions, as TagoIO's API has them."
VERSION = "1.0.0"
BODY_LIMIT = 200 * 1000  # bytes (TagoIO)
LARGE_BODY = 20_000  # bytes
HEADERS = (  # of every answer. Any page may ask (CORS): a token travels only in a header that the page itself sets
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, ETag, Link, X-Next-Cursor"),
)
FAILED = "gatehouse.failed"  # in the environment of a request: what was raised when `data/door.py` tried to store its records
_SCHEMES: Mapping[Kind, str] = {
    "account": "Account-Token", "device": "Device-Token", "analysis": "Analysis-Token", "middleware": "Middleware-Token",
}  # fmt: skip

_SINCE = "Since this date, or in the last 1 day; with [start] and [end] a range."
_FILTERS = {
    "id": "One or several.",
    "name": "In any case; * stands for any characters.",
    "active": "true or false.",
    "visible": "true or false.",
    "tags][0][key": "A tag that it has.",
    "tags][0][value": "And its value.",
    "created_at": _SINCE,
    "updated_at": _SINCE,
    "last_input": _SINCE,
}
_WORDING = {
    "not-found": "Not found",
    "method-not-allowed": "Method not allowed",
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
    """Return who asks; looked up, and counted, once a request. Raises Refusal 401, 429, 503."""
    found: Caller | None = g.get("caller")
    if found is None:
        found = g.caller = parts().tokens.caller(presented())
        parts().limits.charge(found.token_id, request.method, str(request.url_rule))
    return found


def require(action: Action, *kinds: Kind) -> Caller:
    """Return the caller, who must have one of these kinds of token with this permission. Raises Refusal 401, 403, 429, 503."""
    found = g.caller = access.require(caller(), action, *kinds)
    return found


def needs(action: Action, *kinds: Kind) -> Callable[[View], View]:
    """Say who may call a view, and document it. It is judged before anything of the request's content is read."""

    def decorate(view: View) -> View:
        cast(Any, view).asks = lambda: require(action, *kinds)
        described: View = Blueprint.doc(security=[*({_SCHEMES[kind]: []} for kind in kinds), {"Token": []}])(view)
        return described

    return decorate


def body() -> Any:
    """Read the body as JSON, whatever its content type says. Raises Refusal 400, and 413 for a large one."""
    return _read_json(request.get_data())


def load(schema: Schema, content: Any) -> Any:
    """Read what came in by a schema. Raises Refusal 400 with what is wrong by field; in a list `1.name`."""
    try:
        return schema.load(content)
    except ValidationError as error:
        raise refusals.body_invalid(field_errors(error.messages)) from None


def query_pairs() -> list[tuple[str, str]]:
    """Return the query string's names and values, as they came."""
    return list(request.args.items(multi=True))


def query(**described: str) -> list[dict[str, Any]]:
    """Describe query parameters that the rules of a noun read. described: what each means."""
    return [{"in": "query", "name": name, "description": text, "schema": {"type": "string"}} for name, text in described.items()]


def query_of_list(what: str, columns: listing.Columns, *filters: str) -> list[dict[str, Any]]:
    """Describe the query parameters of a list. what: is listed, such as `Devices`. filters: names of those that it knows."""
    direction = "desc" if columns.descending else "asc"
    return query(
        page="Page, from 1 on.",
        amount=f"{what} on a page, 1 to {listing.MOST} ({listing.USUAL}).",
        fields=f"Shown of each; repeated ({', '.join(columns.shown)}).",
        orderBy=f"{', '.join(sorted(columns.sortable))}, with ,asc or ,desc ({columns.order},{direction}).",
        **{f"filter[{name}]": _FILTERS.get(name, "Exactly this.") for name in filters},
    )


def secret_path(view: View) -> View:
    """Have the route logged instead of the path, which holds a secret."""
    cast(Any, view).hides_path = True
    return view


def _read_json(content: bytes) -> Any:
    try:
        return json.loads(content, parse_constant=_not_json, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and too long an integer among it
        raise refusals.not_json(error) from None


def _not_json(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("out of range")
    return value


class _Parser(FlaskParser):
    """Reads what comes in by a schema; what is wrong is refused in the service's shape."""

    DEFAULT_VALIDATION_STATUS = 400

    def load_json(self, req: Request, schema: Schema) -> Any:
        return _read_json(req.get_data()) if req.get_data() else {}

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> NoReturn:
        assert isinstance(error.messages, dict)
        (place, messages), *_rest = error.messages.items()
        wrong = {"query": refusals.query_invalid, "path": refusals.url_invalid}.get(str(place), refusals.body_invalid)
        raise wrong(field_errors(messages))


class Blueprint(documented.Blueprint):
    """Routes whose arguments are read by `_Parser`."""

    ARGUMENTS_PARSER = _Parser()


def answer(result: Any, status: int = 200, message: str | None = None) -> Response:
    """Answer in the envelope. message: makes it the warning form."""
    body: dict[str, Any] = {"status": True, "result": result}
    if message is not None:
        body["message"] = message
    return Response(json.dumps(body, ensure_ascii=False, separators=(",", ":")), status, mimetype="application/json")


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Render an error in the envelope: `{"status": false, "message", "field_errors"?}`."""
    message = _WORDING.get(code, message)
    if code != "invalid-query":  # whose texts are the original's, to the letter
        message = message[:1].upper() + message[1:]
    body: dict[str, Any] = {"status": False, "message": message}
    if fields:
        body["field_errors"] = fields
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, mimetype="application/json")  # a name in `fields` may hold half a character


def register(app: Flask) -> None:
    """Add what happens before and after every route, and what the OpenAPI document says of all."""
    components = app.extensions["api"].spec.components
    for header in (*_SCHEMES.values(), "Token"):
        components.security_scheme(header, {"type": "apiKey", "in": "header", "name": header})
    components.schemas["Error"] = app.extensions["api"].ma_plugin.converter.schema2jsonschema(Failure())  # not flask-smorest's

    @app.before_request
    def admit() -> None:
        if "\x00" in request.path:  # PostgreSQL's texts do not hold it
            raise refusals.no_such_path()
        if b"%00" in request.query_string:
            raise refusals.query_invalid({name: ["Holds a NUL."] for name, value in query_pairs() if "\x00" in name + value})
        view = current_app.view_functions.get(request.endpoint or "")
        if getattr(view, "hides_path", False):
            g.logged_path = str(request.url_rule)
        ask = getattr(view, "asks", None)
        if ask is not None and request.method != "OPTIONS":
            ask()

    app.after_request(_finish)
    app.extensions["checks"].add("limits", app.extensions["devices"].counter.check)
    routes = {f"{method} {plain(rule.rule)}" for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    if unknown := app.extensions["devices"].limits.unknown(routes):
        raise SettingsError([f"DEVICES_RATE_LIMITS names {route}, which is not a route of this service" for route in unknown])


def _finish(answer: Response) -> Response:
    for name, value in HEADERS:
        answer.headers.setdefault(name, value)
    if request.method == "OPTIONS":
        answer.status_code = 204
        answer.set_data(b"")
        answer.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST, PUT, DELETE"
        answer.headers["Access-Control-Allow-Headers"] = (
            "Content-Type, Authorization, Authentication, Account-Token, Profile-Token, Device-Token, Token, Analysis-Token, "
            "Middleware-Token, Network-Token, Idempotency-Key, If-Match, X-Request-Id, Pragma, Cache-Control"
        )
        answer.headers["Access-Control-Max-Age"] = "600"
    return answer


def presented() -> dict[str, str]:
    """Return the tokens of this request, by header in lower case and without `Bearer`."""
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
