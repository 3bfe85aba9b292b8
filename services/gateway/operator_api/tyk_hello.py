"""`/hello`: whether the gateway is well, in Tyk's format. Needs no operator key."""

from __future__ import annotations

from flask import Blueprint, Response

from services.gateway.operator_api.web import whole_gateway

blueprint = Blueprint("tyk_hello", __name__)


@blueprint.get("/hello")
def hello() -> Response:
    reply = whole_gateway().health.hello()
    return Response(reply.body, reply.status, [(name.decode(), value.decode()) for name, value in reply.headers])
