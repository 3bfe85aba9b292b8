"""The Flask application of the devices service."""

from __future__ import annotations

import dataclasses

from flask import Flask

from services.common.app import create_app
from services.common.clock import Clock, SystemClock
from services.devices import web
from services.devices.actions import api as actions
from services.devices.data import api as data
from services.devices.data.door import Door
from services.devices.pages import pages
from services.devices.registry.api import devices, networks, own, params, storage, tokens
from services.devices.settings import Settings
from services.devices.wiring import Parts


def build(settings: Settings, clock: Clock | None = None) -> Flask:
    """Create the application of these settings. clock: for tests."""
    parts = Parts(settings, clock or SystemClock())
    app = create_app(
        "devices",
        version=web.VERSION,
        database=parts.database,
        render_error=web.render_error,
        body_limit=web.BODY_LIMIT,
        title=web.NAME,
        description=web.DESCRIPTION,
    )
    app.extensions["devices"] = parts
    app.extensions["wakeups"] = parts.wakeups  # gunicorn closes them on TERM
    for collector in (parts.streams, parts.courier.metrics):
        app.extensions["metrics"].register(collector)
    for group in (devices, storage, tokens, params, own, networks, data, actions):
        app.extensions["api"].register_blueprint(group.blueprint)
    web.register(app)
    pages.register(app)
    app.wsgi_app = Door(app)  # type: ignore[assignment, method-assign]
    return app


def describe() -> Flask:
    """Create the application for its OpenAPI document only: touches no file and no network."""
    return build(dataclasses.replace(Settings(), database_url="postgresql://nowhere/none"))
