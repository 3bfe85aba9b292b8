"""The Flask application of the tokens service."""

from __future__ import annotations

import dataclasses

from flask import Flask

from services.common.app import create_app
from services.common.clock import Clock, SystemClock
from services.tokens import api, browser, queue_api, web
from services.tokens.settings import Settings
from services.tokens.wiring import Parts


def build(settings: Settings, clock: Clock | None = None) -> Flask:
    """The application of these settings. clock: for tests."""
    parts = Parts(settings, clock or SystemClock())
    app = create_app(
        "tokens",
        version=api.VERSION,
        database=parts.database,
        render_error=web.render_error,
        body_limit=web.BODY_LIMIT,
        title=api.NAME,
        description=api.DESCRIPTION,
    )
    app.extensions["tokens"] = parts
    app.extensions["wakeups"] = parts.wakeups  # gunicorn closes them on TERM
    documented = app.extensions["api"]
    documented.spec.components.security_scheme("role", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    for blueprint in (api.blueprint, queue_api.blueprint):
        documented.register_blueprint(blueprint)
    browser.register(app)
    app.after_request(web.open_to_all_origins)
    return app


def describe() -> Flask:
    """The application for its OpenAPI document only: touches no file, no network."""
    return build(dataclasses.replace(Settings(), database_url="postgresql://nowhere/none"))
