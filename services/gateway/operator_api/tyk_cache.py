"""`/tyk/cache`: the answers of an API that are kept, as Tyk's gateway API purges them."""

from __future__ import annotations

from flask import Response

from services.gateway.cache.port import NotPurged
from services.gateway.operator_api import refusals
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer
from services.gateway.operator_api.web import gateway

blueprint = protected("tyk_cache", __name__)


@blueprint.delete("/tyk/cache/<api_id>")
def purge(api_id: str) -> Response:
    """Forget them. When this is answered, no worker serves them any more."""
    if gateway().definitions.get(api_id) is None:
        raise refusals.tyk_api_unknown()
    try:
        gateway().purge_answers(api_id)
    except NotPurged:
        raise refusals.tyk_cache_not_purged() from None
    return answer({"status": "ok", "message": "cache invalidated"})
