"""The Flask application of the auth service."""

from __future__ import annotations

import dataclasses

from flask import Flask

from services.auth import api, web
from services.auth.oauth.server import server
from services.auth.pages import pages
from services.auth.settings import Settings
from services.auth.wiring import Parts, master_key
from services.common.app import create_app
from services.common.clock import Clock, SystemClock
from services.common.proxies import TrustedProxies


def build(settings: Settings, clock: Clock | None = None, *, key: str | None = None) -> Flask:
    """Create the application of these settings. clock: for tests. key: the master key; left out: that of the settings or of its file."""
    parts = Parts(settings, clock or SystemClock(), key or master_key(settings))
    app = create_app(
        "auth",
        version=web.VERSION,
        database=parts.database,
        render_error=pages.render_error,
        body_limit=web.BODY_LIMIT,
        title=web.NAME,
        description=web.DESCRIPTION,
    )
    app.extensions["auth"] = parts
    app.extensions["checks"].add("start", parts.check_started)
    app.extensions["checks"].add("signing key", parts.keys.check_master_key)
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies, settings.gateway_proxies)  # type: ignore[method-assign]
    web.register(app, {group.name for group in api.OF_JSON})
    for group in api.GROUPS:
        app.extensions["api"].register_blueprint(group)
    server.register(app)
    pages.register(app)
    return app


def describe() -> Flask:
    """Create the application for its OpenAPI document only, without touching a file or the network."""
    return build(dataclasses.replace(Settings(), database_url="postgresql://nowhere/none"), key="x" * 32)
