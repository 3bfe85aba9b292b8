"""The Flask application of the operator port: the operator API, the start page, health, metrics."""

from __future__ import annotations

from flask import Flask

from services.common.app import create_app as create_base
from services.common.readiness import NotReady
from services.gateway.console import documents, start
from services.gateway.operator_api import answers
from services.gateway.operator_api.blueprints import blueprints
from services.gateway.operator_api.web import EXTENSION
from services.gateway.operator_door import BODY_LIMIT
from services.gateway.version import VERSION
from services.gateway.wiring import Gateway


def create_app(gateway: Gateway) -> Flask:
    """Create the application of one worker. Its routes reach the gateway through `operator_api.web`."""
    app = create_base(
        "gateway",
        version=VERSION,
        database=gateway.database,
        render_error=answers.render_error,
        body_limit=BODY_LIMIT,
        documented=False,  # its calls are Tyk's: their document is written beforehand (operator_document/)
    )
    app.extensions[EXTENSION] = gateway
    for collector in (gateway.requests, gateway.recent, gateway.gauges, gateway.loop_lag.seconds, gateway.events.metrics):
        app.extensions["metrics"].register(collector)
    app.extensions["checks"].add("definitions", lambda: _check_definitions(gateway))
    if gateway.settings.valkey_url:
        app.extensions["checks"].add("valkey", lambda: _check_counters(gateway))
    for blueprint in (*blueprints(), start.blueprint, documents.blueprint):
        app.register_blueprint(blueprint)
    return app


def _check_definitions(gateway: Gateway) -> None:
    if gateway.loading.missing:
        raise NotReady(gateway.loading.missing)


def _check_counters(gateway: Gateway) -> None:
    if not gateway.counters.available:
        raise NotReady("Valkey cannot be reached: limits are not counted")
