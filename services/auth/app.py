"""The auth service put together: settings → stores → services → routes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, jsonify, request

from services.auth import web
from services.auth.answers import ErrorBody
from services.auth.api import account, administration, verification
from services.auth.api import oauth as oauth_api
from services.auth.models import db
from services.auth.oauth.server import server as oauth
from services.auth.pages import account as account_pages
from services.auth.pages import consent, visit
from services.auth.proxies import TrustedProxies
from services.auth.settings import Settings
from services.auth.wiring import Parts, master_key
from services.common.app import create_app, plain_error
from services.common.clock import Clock, SystemClock
from services.common.database import Database
from services.common.pages import assets
from services.common.pages.negotiation import prefers_html
from services.common.refusal import Refusal

NAME = "Gatehouse auth"
VERSION = "1.0.0"
DESCRIPTION = "Identities and credentials for the whole house: users, login keys, tokens, OAuth2, signing keys."
BODY_LIMIT = 64 * 1024
_PAGES = re.compile(r"/oauth/authorize|/account(/.*)?")


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """The house's error body; the names of wrong fields without the place where they were found. Among the pages, a page."""
    if _PAGES.fullmatch(request.path):
        return visit.failure(status, message)
    if status == 422:
        message, code = "some fields are not valid", "invalid-fields"
        if fields and set(fields) <= {"json", "query"}:
            parts = [found if isinstance(found, dict) else {"_": found} for found in fields.values()]
            fields = {name: why for part in parts for name, why in part.items()}
    answer = plain_error(status, message, code, fields)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def build(settings: Settings, clock: Clock | None = None, *, key: str | None = None) -> Flask:
    """The application of these settings. clock: for tests. key: the master key, when it is not to be read or made."""
    database = Database(
        db, settings.database_url, pool_size=20, at_once=settings.threads - 2, sqlite_synchronous=settings.sqlite_synchronous
    )
    app = create_app(
        "auth",
        version=VERSION,
        database=database,
        render_error=render_error,
        body_limit=BODY_LIMIT,
        title=NAME,
        description=DESCRIPTION,
    )
    parts = app.extensions["auth"] = Parts(settings, database, clock or SystemClock(), key or master_key(settings))
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies, settings.gateway_proxies)  # type: ignore[method-assign]
    smorest = app.extensions["api"]
    schemes = smorest.spec.components
    schemes.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    schemes.security_scheme("basic", {"type": "http", "scheme": "basic"})
    schemes.schemas["Error"] = smorest.ma_plugin.converter.schema2jsonschema(ErrorBody())  # flask-smorest names its own so
    for one in (account, administration, verification, oauth_api):
        smorest.register_blueprint(one.blueprint)
    oauth.register(app)
    assets.register(app, visit.ASSETS)
    for pages in (account_pages, consent):
        app.register_blueprint(pages.blueprint)
    app.extensions["checks"].add("start", parts.check_started)
    app.extensions["checks"].add("signing key", parts.keys.check_master_key)
    _information(app, settings)
    _private(app)
    _admit(app)
    return app


def describe() -> Flask:
    """The application for its OpenAPI document only: touches no file, no network."""
    return build(dataclasses.replace(Settings(), database_url="postgresql://nowhere/none"), key="x" * 32)


def _information(app: Flask, settings: Settings) -> None:
    @app.get("/")
    def information() -> Response:
        """What this is; a browser gets a page."""
        if prefers_html(request.headers.get("Accept", "")):
            return visit.start()
        answer = jsonify(name=NAME, version=VERSION, git_sha=settings.git_sha)
        answer.headers["Vary"] = "Accept, X-Forwarded-Prefix"
        return answer


def _admit(app: Flask) -> None:
    """Who asks is judged before anything of the body is read; then what no route can read is refused."""
    of_json = {blueprint.name for blueprint in (account.blueprint, administration.blueprint, verification.blueprint)}

    @app.before_request
    def admit() -> None:
        if "\x00" in request.path:  # PostgreSQL's texts do not hold it
            raise Refusal(404, "not found", "not-found")
        view = app.view_functions.get(request.endpoint or "")
        ask = getattr(view, "asks", None)
        if ask is not None and request.method != "OPTIONS":
            ask()
        if request.blueprint in of_json and not getattr(view, "reads_itself", False):
            web.readable()


def _private(app: Flask) -> None:
    """Answers about people are not for caches; those that may be kept say so themselves."""

    @app.after_request
    def keep_private(answer: Response) -> Response:
        answer.headers.setdefault("Cache-Control", "no-store")
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        return answer
