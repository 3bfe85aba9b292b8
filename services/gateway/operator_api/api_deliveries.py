"""`/api/gatehouse/deliveries`: the calls of webhooks, above all those that failed, and how to repeat them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flask import Response, request

from services.common.webhooks.outbox import STATES, Delivery
from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, pages
from services.gateway.operator_api.changes import deliveries
from services.gateway.operator_api.web import gateway

blueprint = protected("deliveries", __name__)


@blueprint.get("/api/gatehouse/deliveries")
def list_deliveries() -> Response:
    """`?state=pending|delivered|dead&hook_id=&p=&page_size=`: the newest first; `p` counts from zero."""
    state: Any = request.args.get("state") or None
    if state is not None and state not in STATES:
        raise refusals.state_unknown(STATES)
    number, size = arguments.page()
    number = max(number, 0)
    found, total = gateway().events.outbox.page(state, number, size, request.args.get("hook_id", ""))
    return answer({"deliveries": [_shown(one) for one in found], "pages": pages(total, number, size), "total": total})


@blueprint.get("/api/gatehouse/deliveries/<id>")
def show(id: str) -> Response:
    found = deliveries.existing(gateway(), id)
    return answer({**_shown(found), "body": found.body})


@blueprint.post("/api/gatehouse/deliveries/<id>/replay")
def replay(id: str) -> Response:
    """Repeat one call."""
    deliveries.replay(gateway(), id)
    return answer({"Status": "OK", "Message": "Delivery scheduled", "Meta": id})


@blueprint.post("/api/gatehouse/deliveries/replay")
def replay_dead() -> Response:
    """`?hook_id=`: repeat all dead calls of a webhook; `?all=1`: of every webhook."""
    hook_id, of_all = request.args.get("hook_id", ""), arguments.flag("all")
    if not hook_id and not of_all:
        raise refusals.hook_not_named()
    count = deliveries.replay_dead(gateway(), hook_id or None)
    return answer({"Status": "OK", "Message": f"{count} deliveries scheduled", "Meta": count})


def _shown(delivery: Delivery) -> dict[str, Any]:
    """Return a call as answers show it: without the hook's own headers, which may hold a credential of the receiver."""
    return {
        "id": delivery.id,
        "hook_id": delivery.hook_id,
        "event": delivery.event,
        "api_id": delivery.subject,
        "method": delivery.method,
        "url": delivery.url.partition("?")[0],
        "state": delivery.state,
        "attempts": delivery.attempts,
        "created_at": _time(delivery.created_at),
        "next_at": _time(delivery.next_at) if delivery.state == "pending" else None,
        "ended_at": _time(delivery.ended_at),
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
