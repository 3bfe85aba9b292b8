"""`/api/gatehouse/lint`: what is wrong or doubtful with a definition, before it is saved."""

from __future__ import annotations

from flask import Response

from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, places
from services.gateway.operator_api.changes.checks import linted
from services.gateway.operator_api.web import gateway

blueprint = protected("lint", __name__)


@blueprint.post("/api/gatehouse/lint")
def lint_definition() -> Response:
    """Report mistakes (they would stop a save) and warnings (they would not) of a definition; nothing is stored."""
    body = arguments.body("definition")
    raw = body.get("api_definition", body)
    if not isinstance(raw, dict):
        raise refusals.definition_not_an_object()
    mistakes, warnings = linted(gateway(), raw)
    return answer({"valid": not mistakes, "mistakes": places(mistakes), "warnings": places(warnings)})
