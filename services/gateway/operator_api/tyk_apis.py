"""`/tyk/apis` and `/tyk/reload`: definitions as Tyk's gateway API shows them. A write is live when its answer arrives, without a reload."""

from __future__ import annotations

from flask import Response

from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import author, protected
from services.gateway.operator_api.answers import answer, changed
from services.gateway.operator_api.changes import definitions
from services.gateway.operator_api.web import gateway

blueprint = protected("tyk_apis", __name__)


@blueprint.get("/tyk/apis")
def list_apis() -> Response:
    return answer([stored.raw for stored in gateway().definitions.page(-1).items])


@blueprint.get("/tyk/apis/<api_id>")
def get_api(api_id: str) -> Response:
    stored = gateway().definitions.get(api_id)
    if stored is None:
        raise refusals.tyk_api_unknown()
    return answer(stored.raw, headers={"ETag": f'"{stored.revision}"'})


@blueprint.post("/tyk/apis", defaults={"api_id": ""})
@blueprint.post("/tyk/apis/<api_id>")
def create_api(api_id: str) -> Response:
    """Create an API, or replace the one that exists, as Tyk does."""
    return _saved("added", definitions.put(gateway(), api_id, arguments.body("definition"), author(), arguments.if_match()))


@blueprint.put("/tyk/apis/<api_id>")
def update_api(api_id: str) -> Response:
    raw = arguments.body("definition")
    stored = definitions.existing(gateway(), api_id)
    if raw.get("api_id") not in (None, "", stored.api_id):
        raise refusals.tyk_id_mismatch()
    saved = definitions.update(gateway(), stored.id, {**raw, "id": stored.id}, None, author(), if_match=arguments.if_match())
    return _saved("modified", saved)


@blueprint.delete("/tyk/apis/<api_id>")
def delete_api(api_id: str) -> Response:
    saved = definitions.delete(gateway(), api_id, author(), arguments.if_match())
    return changed(saved.stored.api_id, "deleted", saved.unconfirmed)


def _saved(action: str, saved: definitions.Saved) -> Response:
    more = {"unchanged": True} if saved.unchanged else {}
    return changed(saved.stored.api_id, action, saved.unconfirmed, saved.warnings, **more)


@blueprint.delete("/tyk/apis")
def delete_nothing() -> Response:
    raise refusals.tyk_api_id_missing()


@blueprint.get("/tyk/reload")
@blueprint.get("/tyk/reload/group")
def reload() -> Response:
    """Make every worker read the definitions again; always wait for them, as Tyk does with `?block=true`."""
    unconfirmed = definitions.reload(gateway())
    body: dict[str, object] = {"status": "ok", "message": ""}
    if unconfirmed:
        body["unconfirmed"] = unconfirmed
    return answer(body)
