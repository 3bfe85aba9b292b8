"""`/tyk/health`: what happened to an API in the last minute, as Tyk's gateway API shows it, over all workers of this node."""

from __future__ import annotations

from flask import Response, current_app

from services.common.metrics.families import Families
from services.gateway.observe.recent import NAME, SPAN_S
from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer
from services.gateway.operator_api.web import gateway

blueprint = protected("tyk_health", __name__)


@blueprint.get("/tyk/health")
def health() -> Response:
    """`api_id`: of which API."""
    api_id = arguments.text("api_id")
    if api_id is None:
        raise refusals.tyk_health_without_api()
    stored = gateway().definitions.get(api_id)
    if stored is None:
        raise refusals.tyk_health_unknown()
    found = _counts(stored.api_id)
    passed = found.get("passed", 0.0)
    return answer({
        "throttle_reqests_per_second": _per_second(found, "throttled"),  # Tyk's spelling
        "quota_violations_per_second": _per_second(found, "over_quota"),
        "key_failures_per_second": _per_second(found, "key_failures"),
        "average_upstream_latency": _cut(1000 * found.get("seconds", 0.0) / passed) if passed else 0.0,
        "average_requests_per_second": _per_second(found, "passed"),
    })  # fmt: skip


def _counts(api_id: str) -> dict[str, float]:
    """Add up what all workers have counted, by what it is. Waits up to a second for those that are busy."""
    seat = current_app.extensions.get("seat")
    families = seat.families() if seat is not None else Families(current_app.extensions["metrics"].collect())
    found: dict[str, float] = {}
    for labels, value in families.values(NAME):
        if labels["api"] == api_id:
            found[labels["what"]] = found.get(labels["what"], 0.0) + value
    return found


def _per_second(found: dict[str, float], what: str) -> float:
    return _cut(found.get(what, 0.0) / SPAN_S)


def _cut(number: float) -> float:
    """Cut off what is behind two decimals."""
    return int(number * 100) / 100
