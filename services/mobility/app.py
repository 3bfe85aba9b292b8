"""The Flask application of the mobility service."""

from __future__ import annotations

import dataclasses

from flask import Flask

from services.common.app import create_app
from services.common.clock import Clock, SystemClock
from services.common.proxies import TrustedProxies
from services.mobility import web
from services.mobility.layers import api as layers
from services.mobility.nodes.api import bulk, single
from services.mobility.pages import pages
from services.mobility.reads.api import lists, match, select, start
from services.mobility.reads.api import nodes as node_reads
from services.mobility.sessions import api as sessions
from services.mobility.settings import Settings
from services.mobility.wiring import Parts


def build(settings: Settings, clock: Clock | None = None) -> Flask:
    """Create the application of these settings. clock: for tests."""
    parts = Parts(settings, clock or SystemClock())
    app = create_app(
        "mobility",
        version=web.VERSION,
        database=parts.database,
        render_error=web.render_error,
        body_limit=web.BODY_LIMIT,
        title=web.NAME,
        description=web.DESCRIPTION,
    )
    app.extensions["mobility"] = parts
    for group in (start, sessions, layers, bulk, single, node_reads, lists, match, select):
        app.extensions["api"].register_blueprint(group.blueprint)
    pages.register(app)
    web.register(app)
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies, settings.gateway_proxies)  # type: ignore[method-assign]
    return app


def describe() -> Flask:
    """Create the application for its OpenAPI document only: touches no file and no network."""
    return build(dataclasses.replace(Settings(), database_url="postgresql://nowhere/none"))
