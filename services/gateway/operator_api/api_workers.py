"""`/api/gatehouse/workers`: which workers run, and what the one that answers serves."""

from __future__ import annotations

from flask import Response

from services.gateway.announcements.port import Unreachable
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, places
from services.gateway.operator_api.web import gateway

blueprint = protected("workers", __name__)


@blueprint.get("/api/gatehouse/workers")
def list_workers() -> Response:
    """List the workers, and what the one that answers serves: each API with its revision, and the reasons for each that is broken."""
    current = gateway().live.current
    try:
        workers: list[str] | None = gateway().announcements.workers()
    except Unreachable:
        workers = None  # Valkey is away, and only it knows
    return answer({
        "workers": workers,
        "number": current.number,
        "generation": gateway().definitions.generation(),
        "apis": {api_id: api.revision for api_id, api in current.apis.items()},
        "broken": {api_id: places(mistakes) for api_id, mistakes in current.broken.items()},
    })  # fmt: skip
