"""What every route needs: the parts of the service, who asks and from where, and how answers and errors look."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, g, request
from marshmallow import Schema
from werkzeug.exceptions import BadRequest, HTTPException

from services.auth import levels, refusals
from services.auth.access import Application, Caller, require_level
from services.auth.audit.rules import Origin
from services.auth.schemas import ErrorBody
from services.auth.wiring import Parts
from services.common import request_id
from services.common.app import plain_error
from services.common.documented import Blueprint

T = TypeVar("T")
View = Callable[..., Any]
NAME = "Gatehouse auth"
VERSION = "1.0.0"
DESCRIPTION = "Identities and credentials for the whole house: users, login keys, tokens, OAuth2, signing keys."
BODY_LIMIT = 64 * 1024  # bytes
LONGEST_HEADER = 8192  # characters of an Authorization header that is read


def parts() -> Parts:
    """Return the parts of the application that answers this request."""
    found: Parts = current_app.extensions["auth"]
    return found


def origin(caller: Caller | None = None) -> Origin:
    """Return where the request comes from, and who sent it."""
    user = caller.user if caller else None
    return Origin(user.email if user else "anonymous", user.id if user else None, request.remote_addr, request_id.current())


def basic() -> tuple[str, str] | None:
    """Read user and password of the Authorization header (RFC 7617); None when it holds none, or is malformed."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic" or len(encoded) > LONGEST_HEADER:
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


def bearer() -> str | None:
    """Read the token of the Authorization header (RFC 6750); None when it holds none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and len(token) <= LONGEST_HEADER else None


def needs(ask: Callable[[], object]) -> Callable[[View], View]:
    """Say who may call a view. The application calls `ask`, which raises its refusal, before anything of the body is read."""

    def decorate(view: View) -> View:
        cast(Any, view).asks = ask
        return view

    return decorate


def _asking() -> tuple[Caller, Application | None]:
    """Find out who asks, once a request. Raises Refusal 401, 429, 503."""
    if "asking" not in g:
        g.asking = _find_out()
    found: tuple[Caller, Application | None] = g.asking
    return found


def _find_out() -> tuple[Caller, Application | None]:
    token = bearer()
    if token:
        return parts().verifier.caller(token)
    pair = basic()
    if pair is None:
        raise refusals.credentials_missing()
    proven = parts().sign_in.check(*pair, origin())
    return Caller(proven.user, proven.method, key_digest=proven.key_digest), None


def caller() -> Caller:
    """Return the person who asks, by the access JWT of their own sign-in or by Basic with password or login key.

    Raises Refusal 401, 403, 429, 503.
    """
    found, application = _asking()
    if application is not None:
        raise refusals.not_allowed("the user's own sign-in, not that of an application")
    return found


def reader() -> tuple[Caller, Application | None]:
    """Return the person, or an application that the person lets read the profile. Raises Refusal 401, 403, 429, 503."""
    found, application = _asking()
    if application is not None and "profile" not in application.scopes:
        raise refusals.insufficient_scope("profile")
    return found, application


def administrator() -> Caller:
    """Return the caller, who must administer a domain or all. Raises Refusal 401, 403, 429, 503."""
    return _of_level(levels.DOMAIN_ADMIN)


def super_user() -> Caller:
    """Return the caller, who must be a super user. Raises Refusal 401, 403, 429, 503."""
    return _of_level(levels.SUPER_USER)


def _of_level(level: str) -> Caller:
    found = caller()
    require_level(found, level)
    return found


def readable() -> None:
    """Refuse JSON that is malformed or nested too deeply (Refusal 400), or too large (413)."""
    if request.is_json and request.get_data():
        try:
            request.get_json()
        except BadRequest:
            raise refusals.malformed_json() from None


def quick_arguments(blueprint: Blueprint, schema: type[Schema], *, otherwise: Callable[[], object]) -> Callable[[View], View]:
    """Do what `blueprint.arguments(schema)` does, for a route that is asked hundreds of times a second.

    A JSON object of exactly the required fields, each a text, goes in as it is, and the view judges who asks; everything else is the
    schema's to read, or to refuse, after `otherwise` has judged who asks.
    """
    expected = {name for name, field in schema().fields.items() if field.required}

    def decorate(view: View) -> View:
        judged = blueprint.arguments(schema())(view)

        @functools.wraps(judged)
        def quick() -> Any:
            try:
                given = request.get_json(silent=True)
            except HTTPException:  # too large
                given = None
            if isinstance(given, dict) and given.keys() == expected and all(isinstance(text, str) for text in given.values()):
                return view(given)
            otherwise()
            readable()
            return judged()

        cast(Any, quick).reads_itself = True
        return quick

    return decorate


def answers(blueprint: Blueprint, status: int, schema: type[Schema]) -> Callable[[View], View]:
    """Document an answer as `blueprint.response(status, schema)` does, and send the view's answer as it is."""

    def decorate(view: View) -> View:
        plain: Any = blueprint.response(status)(view)
        documented: Any = blueprint.response(status, schema)(view)
        plain._apidoc = documented._apidoc
        return cast(View, plain)

    return decorate


def etag(version: int) -> dict[str, str]:
    """Return the header that names a version."""
    return {"ETag": f'"{version}"'}


def if_match() -> int | None:
    """Read the version that the caller saw, None when it does not say. Raises Refusal 412 for a tag that was never ours."""
    given = request.headers.get("If-Match", "").strip()
    if given in ("", "*"):
        return None
    match = re.fullmatch(r'"(\d{1,9})"', given)
    if not match:
        raise refusals.changed_meanwhile()
    return int(match[1])


def listed(found: tuple[Iterable[T], int], show: Callable[[T], dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    """Return one page of a list as JSON."""
    rows, total = found
    return {"items": [show(row) for row in rows], "total": total, "page": asked["page"], "per_page": asked["per_page"]}


def cacheable(document: dict[str, Any], seconds: int) -> Response:
    """Return an answer that any cache may keep and any site may read, with its ETag. seconds: how long."""
    body = json.dumps(document, separators=(",", ":"))
    answer = Response(body, mimetype="application/json")
    answer.headers["Cache-Control"] = f"public, max-age={seconds}"
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.set_etag(hashlib.sha256(body.encode()).hexdigest()[:32])
    answer.make_conditional(request)
    return answer


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Render an error in the house's shape; the names of wrong fields without the place where they were found."""
    if status == 422:
        message, code = refusals.INVALID_FIELDS
        if fields and set(fields) <= {"json", "query"}:
            places = [found if isinstance(found, dict) else {"_": found} for found in fields.values()]
            fields = {name: why for place in places for name, why in place.items()}
    answer = plain_error(status, message, code, fields)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def register(app: Flask, of_json: Collection[str]) -> None:
    """Add what happens before and after every route. of_json: names of the groups of routes whose bodies are JSON."""
    schemes = app.extensions["api"].spec.components
    schemes.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    schemes.security_scheme("basic", {"type": "http", "scheme": "basic"})
    # the name that flask-smorest gives its own
    schemes.schemas["Error"] = app.extensions["api"].ma_plugin.converter.schema2jsonschema(ErrorBody())

    @app.before_request
    def admit() -> None:
        """Judge who asks before anything of the body is read, then refuse what no route can read."""
        if "\x00" in request.path:  # PostgreSQL's texts do not hold it
            raise refusals.path_not_found()
        view = app.view_functions.get(request.endpoint or "")
        ask = getattr(view, "asks", None)
        if ask is not None and request.method != "OPTIONS":
            ask()
        if (request.endpoint or "").partition(".")[0] in of_json and not getattr(view, "reads_itself", False):
            readable()

    @app.after_request
    def keep_private(answer: Response) -> Response:
        """Keep answers about people out of caches; those that may be kept say so themselves."""
        answer.headers.setdefault("Cache-Control", "no-store")
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        return answer
