"""The tokens service put together: settings → stores → services → routes."""

from __future__ import annotations

import dataclasses

from flask import Flask, Response, request

from services.common import wakeups
from services.common.app import create_app
from services.common.clock import Clock, SystemClock
from services.common.database import Database
from services.common.identity.client import IdentityClient
from services.tokens import api, browser, queue_api, refusals
from services.tokens.clients import RoleTokens
from services.tokens.models import db
from services.tokens.pictures import Pictures
from services.tokens.polls import Places, Waiter
from services.tokens.queue_service import Queue
from services.tokens.queue_store import QueueStore
from services.tokens.service import Archive
from services.tokens.settings import Settings
from services.tokens.store import TokenStore

BODY_LIMIT = 2 * 1024 * 1024  # an SVG of 1 MB, escaped


def build(settings: Settings, clock: Clock | None = None) -> Flask:
    """The application of these settings. clock: for tests."""
    clock = clock or SystemClock()
    database = Database(
        db, settings.database_url, pool_size=20, at_once=settings.threads - 2, sqlite_synchronous=settings.sqlite_synchronous
    )
    app = create_app(
        "tokens",
        version=api.VERSION,
        database=database,
        render_error=refusals.render,
        body_limit=BODY_LIMIT,
        title=api.NAME,
        description=api.DESCRIPTION,
    )
    wakes = app.extensions["wakeups"] = wakeups.create(settings.valkey_url, "tokens")
    places = Places(settings.polls_limit)
    queue = Queue(QueueStore(database), Waiter(wakes, clock, places), wakes, clock, settings)
    identities = IdentityClient(settings.auth_url, "tokens", settings.auth_secret, issuer=settings.auth_issuer, clock=clock)
    asking = settings.auth_secret is not None
    roles = RoleTokens(identities, settings.jwt_secret, dict(settings.earliest_issue), clock, asking=asking)
    smorest = app.extensions["api"]
    smorest.spec.components.security_scheme("role", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    archive, pictures, page = Archive(TokenStore(database), clock), Pictures(settings, clock), browser.register(app)
    smorest.register_blueprint(api.blueprint(archive, pictures, roles, page, settings.git_sha))
    smorest.register_blueprint(queue_api.blueprint(queue, roles, places))
    _open_to_all_origins(app)
    return app


def describe() -> Flask:
    """The application for its OpenAPI document only: touches no file, no network."""
    return build(dataclasses.replace(Settings(), database_url="postgresql://nowhere/none"))


def _open_to_all_origins(app: Flask) -> None:
    """CORS as the original: any page may ask; a credential travels only in a header that the page itself sets."""

    @app.after_request
    def allow(answer: Response) -> Response:
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
