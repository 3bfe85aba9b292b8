"""The Flask application of the tokens service."""

from __future__ import annotations

import dataclasses

from flask import Flask

from services.common.app import create_app
from services.common.clock import Clock, SystemClock
from services.tokens import web
from services.tokens.archive import api as archive
from services.tokens.pages import pages
from services.tokens.queue import api as queue
from services.tokens.schemas import ErrorText
from services.tokens.settings import Settings
from services.tokens.wiring import Parts


def build(settings: Settings, clock: Clock | None = None) -> Flask:
    """Create the application of these settings. clock: for tests."""
    parts = Parts(settings, clock or SystemClock())
    app = create_app(
        "tokens",
        version=web.VERSION,
        database=parts.database,
        render_error=web.render_error,
        body_limit=web.BODY_LIMIT,
        title=web.NAME,
        description=web.DESCRIPTION,
    )
    app.extensions["tokens"] = parts
    app.extensions["wakeups"] = parts.wakeups  # gunicorn closes them on TERM
    app.extensions["metrics"].register(parts.places)
    documented = app.extensions["api"]
    documented.spec.components.security_scheme("role", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    documented.spec.components.schemas["Error"] = documented.ma_plugin.converter.schema2jsonschema(ErrorText())  # not flask-smorest's
    for blueprint in (archive.blueprint, queue.blueprint):
        documented.register_blueprint(blueprint)
    pages.register(app)
    app.after_request(web.open_to_all_origins)
    return app


def describe() -> Flask:
    """Create the application for its OpenAPI document only: touches no file and no network."""
    return build(dataclasses.replace(Settings(), database_url="postgresql://nowhere/none"))
