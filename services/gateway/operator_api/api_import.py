"""`/api/gatehouse/import/openapi`: an API from an OpenAPI document; `/api/apis/{id}/openapi`: a document from an API."""

from __future__ import annotations

from typing import Any

from flask import Response

from services.gateway.compiler import interpret
from services.gateway.definitions.openapi_export import document_of
from services.gateway.definitions.openapi_import import definition_of
from services.gateway.definitions.reader import Mistakes
from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import author, protected
from services.gateway.operator_api.answers import answer, done, places
from services.gateway.operator_api.changes import definitions
from services.gateway.operator_api.web import gateway

blueprint = protected("imports", __name__)


@blueprint.post("/api/gatehouse/import/openapi")
def import_openapi() -> Response:
    """Create an API. `listen_path`, `target`: in place of what the document says. `mock=1`: answer with its examples. `dry_run=1`."""
    document = arguments.body("openapi")
    try:
        imported = definition_of(
            document,
            listen_path=arguments.text("listen_path") or "",
            target=arguments.text("target") or "",
            mock=arguments.flag("mock"),
        )
    except Mistakes as error:
        raise refusals.invalid("openapi", error) from None
    dry_run = arguments.dry_run()
    saved = definitions.create(gateway(), imported.definition, [], author(), dry_run=dry_run)
    more: dict[str, Any] = {"Notes": places(imported.notes), "api_definition": saved.stored.raw}
    if dry_run:
        return done("Dry run: nothing was written", "", warnings=saved.warnings, **more, DryRun=True)
    headers = {"ETag": f'"{saved.stored.revision}"'}
    return done("API created", saved.stored.id, unconfirmed=saved.unconfirmed, warnings=saved.warnings, headers=headers, **more)


@blueprint.get("/api/apis/<key>/openapi")
def export_openapi(key: str) -> Response:
    """Describe what an API opens, for its clients."""
    stored = definitions.existing(gateway(), key)
    try:
        return answer(document_of(interpret(stored.raw)))
    except Mistakes as error:
        raise refusals.invalid("definition", error) from None
