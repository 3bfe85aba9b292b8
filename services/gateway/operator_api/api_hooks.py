"""`/api/hooks`: the operator's webhooks, as Tyk's Advanced Management API shows them.

`secret` signs the calls. It can be written, never read: a webhook that has one shows `signed: true` instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from services.gateway.operator_api import arguments
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, done, pages
from services.gateway.operator_api.changes import hooks
from services.gateway.operator_api.web import gateway

blueprint = protected("hooks", __name__)


@blueprint.get("/api/hooks")
def list_hooks() -> Response:
    number, size = arguments.page()
    found, total = gateway().hooks.page(number, size)
    return answer({"hooks": [_shown(hook) for hook in found], "pages": pages(total, number, size)})


@blueprint.get("/api/hooks/<id>")
def get_hook(id: str) -> Response:
    return answer(_shown(hooks.existing(gateway(), id)))


@blueprint.post("/api/hooks")
def create_hook() -> Response:
    return done("Webhook created", hooks.create(gateway(), arguments.body("hook")))


@blueprint.put("/api/hooks/<id>")
def update_hook(id: str) -> Response:
    hooks.update(gateway(), id, arguments.body("hook"))
    return done("Webhook updated")


@blueprint.delete("/api/hooks/<id>")
def delete_hook(id: str) -> Response:
    hooks.delete(gateway(), id)
    return done("Webhook deleted")


def _shown(hook: Mapping[str, Any]) -> dict[str, Any]:
    return {"api_model": {}, **hook}
