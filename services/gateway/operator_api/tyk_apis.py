"""`/tyk/apis` and `/tyk/reload`: definitions as Tyk's gateway API shows them. A write is live when its answer arrives, without a reload."""

from __future__ import annotations

from flask import Response

from services.gateway.definitions.reader import Mistake
from services.gateway.operator_api import arguments
from services.gateway.operator_api.access import author, protected
from services.gateway.operator_api.answers import answer, changed
from services.gateway.operator_api.changes import definitions
from services.gateway.operator_api.refusals import Refused
from services.gateway.operator_api.web import gateway

blueprint = protected("tyk_apis", __name__)


@blueprint.get("/tyk/apis")
def list_apis() -> Response:
    return answer([stored.raw for stored in gateway().definitions.page(-1).items])


@blueprint.get("/tyk/apis/<api_id>")
def get_api(api_id: str) -> Response:
    stored = gateway().definitions.get(api_id)
    if stored is None:
        raise Refused(404, "API not found", "api-unknown")
    return answer(stored.raw, headers={"ETag": f'"{stored.revision}"'})


@blueprint.post("/tyk/apis", defaults={"api_id": ""})
@blueprint.post("/tyk/apis/<api_id>")
def create_api(api_id: str) -> Response:
    """Tyk writes whatever it is given over the file of the same api_id, so an API that exists is replaced."""
    raw = arguments.body("definition")
    given = str(raw.get("api_id") or api_id)
    before = gateway().definitions.get(given) if given else None
    if before is None:
        try:
            saved = definitions.create(gateway(), {**raw, "api_id": given} if given else raw, [], *author())
        except Refused as refused:
            # somebody who came between the look and the write
            before = gateway().definitions.get(given) if refused.code == "api-id-taken" else None
            if before is None:
                raise
    if before is not None:
        saved = definitions.update(gateway(), before.id, {**raw, "id": before.id}, None, *author(), arguments.if_match())
    return _saved("added", saved)


@blueprint.put("/tyk/apis/<api_id>")
def update_api(api_id: str) -> Response:
    raw = arguments.body("definition")
    stored = definitions.existing(gateway(), api_id)
    if raw.get("api_id") not in (None, "", stored.api_id):
        message = "Request APIID does not match that in Definition! For Updtae operations these must match."  # Tyk's spelling
        raise Refused(400, message, "id-mismatch")
    saved = definitions.update(gateway(), stored.id, {**raw, "id": stored.id}, None, *author(), arguments.if_match())
    return _saved("modified", saved)


@blueprint.delete("/tyk/apis/<api_id>")
def delete_api(api_id: str) -> Response:
    saved = definitions.delete(gateway(), api_id, *author(), arguments.if_match())
    return changed(saved.stored.api_id, "deleted", saved.unconfirmed)


def _saved(action: str, saved: definitions.Saved) -> Response:
    more = {"unchanged": True} if saved.unchanged else {}
    return changed(saved.stored.api_id, action, saved.unconfirmed, saved.warnings, **more)


@blueprint.delete("/tyk/apis")
def delete_nothing() -> Response:
    raise Refused(400, "Must specify an APIID to delete", "api-id-missing")


@blueprint.get("/tyk/reload")
@blueprint.get("/tyk/reload/group")
def reload() -> Response:
    """Every worker reads the definitions again; always waits, as Tyk does with `?block=true`.

    Files that cannot be used are refused with their mistakes: what they said before goes on being served, the others are live.
    """
    gateway().definitions.generation()  # a database that is away is not a worker's fault
    unconfirmed = gateway().publish_reload()
    files = gateway().definitions.mistakes
    if files:
        message = "Definitions that cannot be used were not loaded; what was served in their place goes on. All others are live."
        mistakes = [Mistake(f"{file.name}#{one.pointer}", one.message) for file in files for one in file.mistakes]
        raise Refused(400, message, "invalid-definition", mistakes=mistakes)
    body: dict[str, object] = {"status": "ok", "message": ""}
    if unconfirmed:
        body["unconfirmed"] = unconfirmed
    return answer(body)
