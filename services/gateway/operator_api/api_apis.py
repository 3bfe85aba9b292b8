"""`/api/apis`: the definitions, as Tyk's Advanced Management API shows them."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import author, protected
from services.gateway.operator_api.answers import answer, done, pages, places
from services.gateway.operator_api.changes import definitions
from services.gateway.operator_api.web import gateway
from services.gateway.stores.definition_model import StoredDefinition

blueprint = protected("apis", __name__)
_DEFINITION = "/api_definition"


@blueprint.get("/api/apis")
def list_apis() -> Response:
    return _listed()


@blueprint.get("/api/apis/search")
def search_apis() -> Response:
    return _listed(request.args.get("q", "").strip())


@blueprint.get("/api/apis/<key>")
def get_api(key: str) -> Response:
    stored = gateway().definitions.get(key)
    if stored is None:
        raise refusals.api_unknown()
    return answer(_shown(stored), headers={"ETag": f'"{stored.revision}"'})


@blueprint.post("/api/apis")
def create_api() -> Response:
    raw, references = _definition()
    saved = definitions.create(gateway(), raw, references, author(), prefix=_DEFINITION, dry_run=arguments.dry_run())
    return _saved("API created", saved.stored.id, saved)


@blueprint.put("/api/apis/<key>")
def update_api(key: str) -> Response:
    raw, references = _definition()
    saved = definitions.update(
        gateway(), key, raw, references, author(), if_match=arguments.if_match(), prefix=_DEFINITION, dry_run=arguments.dry_run()
    )
    return _saved("Api updated", "", saved)


@blueprint.delete("/api/apis/<key>")
def delete_api(key: str) -> Response:
    saved = definitions.delete(gateway(), key, author(), arguments.if_match())
    return done("API deleted", unconfirmed=saved.unconfirmed)


def _listed(query: str = "") -> Response:
    number, size = arguments.page()
    page = gateway().definitions.page(number, size, query)
    return answer({"apis": [_shown(stored) for stored in page.items], "pages": pages(page.total, number, size)})


def _shown(stored: StoredDefinition) -> dict[str, Any]:
    """Return an API as Tyk shows it. One that cannot be served also has `mistakes`, the reasons for its 503."""
    element: dict[str, Any] = {"api_model": {}, "api_definition": stored.raw, "hook_references": stored.hook_references}
    broken = gateway().live.current.broken.get(stored.api_id)
    if broken:
        element["mistakes"] = places(broken)
    return element


def _definition() -> tuple[dict[str, Any], Any]:
    """Read the definition and its hook references; without `hook_references` the list is empty."""
    body = arguments.body("definition")
    raw = body.get("api_definition")
    if not isinstance(raw, dict):
        raise refusals.definition_missing()
    references = body.get("hook_references")
    return raw, [] if references is None else references


def _saved(message: str, meta: str, saved: definitions.Saved) -> Response:
    """Answer a save. `Unchanged`: the stored definition was the same, so no revision was created. `diff`: of a dry run."""
    more: dict[str, Any] = {"Unchanged": True} if saved.unchanged else {}
    if saved.diff is not None:
        return done("Dry run: nothing was written", meta, warnings=saved.warnings, **more, diff=saved.diff, DryRun=True)
    headers = {"ETag": f'"{saved.stored.revision}"'}
    return done(message, meta, unconfirmed=saved.unconfirmed, warnings=saved.warnings, headers=headers, **more)
