"""`/tyk/policies`: policies as Tyk's gateway API shows them."""

from __future__ import annotations

from flask import Response

from services.gateway.operator_api import arguments
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, changed
from services.gateway.operator_api.changes import policies
from services.gateway.operator_api.web import gateway

blueprint = protected("tyk_policies", __name__)


@blueprint.get("/tyk/policies")
def list_policies() -> Response:
    return answer(gateway().policies.page(-1)[0])


@blueprint.get("/tyk/policies/<id>")
def get_policy(id: str) -> Response:
    return answer(policies.existing(gateway(), id))


@blueprint.post("/tyk/policies")
def create_policy() -> Response:
    id, unconfirmed = policies.create(gateway(), arguments.body("policy"))
    return changed(id, "added", unconfirmed)


@blueprint.put("/tyk/policies/<id>")
def update_policy(id: str) -> Response:
    return changed(id, "modified", policies.update(gateway(), id, arguments.body("policy")))


@blueprint.delete("/tyk/policies/<id>")
def delete_policy(id: str) -> Response:
    """`force=1` deletes one that keys name; they are switched off by that."""
    return changed(id, "deleted", policies.delete(gateway(), id, used=arguments.flag("force")))
