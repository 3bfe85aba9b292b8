"""`/tyk/org/keys`: the sessions of organisations as Tyk's gateway API shows them."""

from __future__ import annotations

from flask import Response

from services.gateway.operator_api import arguments
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, changed
from services.gateway.operator_api.changes import organisations
from services.gateway.operator_api.web import gateway

blueprint = protected("tyk_organisations", __name__)


@blueprint.get("/tyk/org/keys")
def list_organisations() -> Response:
    return answer({"keys": gateway().organisations_store.ids()})


@blueprint.get("/tyk/org/keys/<org_id>")
def get_organisation(org_id: str) -> Response:
    return answer(organisations.existing(gateway(), org_id))


@blueprint.post("/tyk/org/keys/<org_id>")
@blueprint.put("/tyk/org/keys/<org_id>")
def put_organisation(org_id: str) -> Response:
    """`reset_quota=1` begins its quota again."""
    is_new, unconfirmed = organisations.put(gateway(), org_id, arguments.body("organisation"), reset_quota=arguments.flag("reset_quota"))
    return changed(org_id, "added" if is_new else "modified", unconfirmed)


@blueprint.delete("/tyk/org/keys/<org_id>")
def delete_organisation(org_id: str) -> Response:
    return changed(org_id, "deleted", organisations.delete(gateway(), org_id))
