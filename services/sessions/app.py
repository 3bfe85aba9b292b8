"""The Flask application of the sessions service."""

from __future__ import annotations

import dataclasses

from flask import Flask

from services.common.app import create_app
from services.common.clock import Clock, SystemClock
from services.common.proxies import TrustedProxies
from services.sessions import api, web
from services.sessions.documenting import documenting
from services.sessions.items.api import analysis, lists
from services.sessions.items.api import events as items
from services.sessions.pages import pages
from services.sessions.pages.map import page as map_page
from services.sessions.projects.api import events as project_events
from services.sessions.projects.api import pages as project_pages
from services.sessions.sessions import api as sessions
from services.sessions.settings import Settings
from services.sessions.updates import api as updates
from services.sessions.users import api as users
from services.sessions.wiring import Parts

EVENTS = (project_events, sessions, items, users)  # modules that add events when they are imported


def build(settings: Settings, clock: Clock | None = None) -> Flask:
    """Create the application of these settings. clock: for tests."""
    parts = Parts(settings, clock or SystemClock())
    app = create_app(
        "sessions",
        version=web.VERSION,
        database=parts.database,
        render_error=web.render_error,
        body_limit=web.BODY_LIMIT,
        title=web.NAME,
        description=web.DESCRIPTION,
    )
    app.url_map.redirect_defaults = False  # aliases answer themselves
    app.extensions["sessions"] = parts
    app.extensions["wakeups"] = parts.wakeups  # gunicorn closes them on TERM
    app.extensions["metrics"].register(parts.polls)
    for part in (api, sessions, project_pages, users, lists, analysis, updates, pages, map_page, documenting):
        part.register(app)
    web.register(app)
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies, settings.gateway_proxies)  # type: ignore[method-assign]
    return app


def describe() -> Flask:
    """Create the application for its OpenAPI document only: touches no file and no network."""
    return build(dataclasses.replace(Settings(), database_url="postgresql://nowhere/none"))
