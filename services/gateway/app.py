"""The Flask application of the operator port: the operator API, health, metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request

from services.common import request_id
from services.common.app import create_app as create_base
from services.common.readiness import NotReady
from services.gateway.console import start
from services.gateway.operator_api import answers
from services.gateway.operator_api.blueprints import blueprints
from services.gateway.wiring import VERSION, Gateway

BODY_LIMIT = 10 * 1024 * 1024


def create_app(gateway: Gateway) -> Flask:
    """The application of one worker; `extensions["gatehouse"]` is its Gateway."""
    app = create_base(
        "gateway",
        version=VERSION,
        database=gateway.database,
        render_error=_render_error,
        body_limit=BODY_LIMIT,
        documented=False,  # its calls are Tyk's, and described in docs/
    )
    app.extensions["gatehouse"] = gateway
    app.extensions["metrics"].register(gateway.gauges)
    app.extensions["checks"].add("definitions", lambda: _check_definitions(gateway))
    if gateway.settings.valkey_url:
        app.extensions["checks"].add("valkey", lambda: _check_counters(gateway))
    for blueprint in (*blueprints(), start.blueprint):
        app.register_blueprint(blueprint)

    @app.get("/hello")
    def hello() -> Response:
        reply = gateway.hello()
        return Response(reply.body, reply.status, [(name.decode(), value.decode()) for name, value in reply.headers])

    return app


def _check_definitions(gateway: Gateway) -> None:
    if gateway.loading.missing:
        raise NotReady(gateway.loading.missing)


def _check_counters(gateway: Gateway) -> None:
    if not gateway.counters.available:
        raise NotReady("Valkey cannot be reached: limits are not counted")


def _render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    if request.path.startswith(("/api/", "/tyk/")):
        return answers.error(status, message, code)
    body: dict[str, Any] = {"error": message, "code": code, "request_id": request_id.current()}
    if fields:
        body["fields"] = fields
    return Response(json.dumps(body, indent=4, ensure_ascii=False) + "\n", status, mimetype="application/json")
