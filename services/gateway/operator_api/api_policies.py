"""`/api/portal/policies`: policies as Tyk's Advanced Management API shows them."""

from __future__ import annotations

from flask import Response

from services.gateway.operator_api import arguments
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, done, pages
from services.gateway.operator_api.changes import policies
from services.gateway.operator_api.web import gateway

blueprint = protected("policies", __name__)


@blueprint.get("/api/portal/policies")
def list_policies() -> Response:
    number, size = arguments.page()
    found, total = gateway().policies.page(number, size)
    return answer({"Data": [{"_id": policy["id"], **policy} for policy in found], "Pages": pages(total, number, size)})


@blueprint.get("/api/portal/policies/<id>")
def get_policy(id: str) -> Response:
    return answer({"_id": id, **policies.existing(gateway(), id)})


@blueprint.post("/api/portal/policies")
def create_policy() -> Response:
    """The new id is the `Message`, as in Tyk, and the `Meta`."""
    id, unconfirmed = policies.create(gateway(), arguments.body("policy"))
    return done(id, id, unconfirmed=unconfirmed)


@blueprint.put("/api/portal/policies/<id>")
def update_policy(id: str) -> Response:
    return done("Data updated", unconfirmed=policies.update(gateway(), id, arguments.body("policy")))


@blueprint.delete("/api/portal/policies/<id>")
def delete_policy(id: str) -> Response:
    """`force=1` deletes one that keys name; they are switched off by that."""
    return done("Data deleted", unconfirmed=policies.delete(gateway(), id, used=arguments.flag("force")))
