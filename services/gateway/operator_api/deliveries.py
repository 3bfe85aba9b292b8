"""`/api/gatehouse/deliveries`: the calls of webhooks, those that failed above all, and how to make them again."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from flask import Response, request

from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import Refused, answer
from services.gateway.operator_api.context import gateway
from services.gateway.stores.events import STATES, Delivery

blueprint = protected("deliveries", __name__)

_PAGE = 50


@blueprint.get("/api/gatehouse/deliveries")
def list_deliveries() -> Response:
    """`?state=pending|delivered|dead&hook_id=&p=`: the newest first."""
    state: Any = request.args.get("state") or None
    if state is not None and state not in STATES:
        raise Refused(400, f"state must be one of {', '.join(STATES)}", "bad-argument")
    number = max(request.args.get("p", 0, int), 0)
    found, total = gateway().events.outbox.page(state, number, _PAGE, request.args.get("hook_id", ""))
    return answer({"deliveries": [_shown(one) for one in found], "pages": max(1, -(-total // _PAGE)), "total": total})


@blueprint.get("/api/gatehouse/deliveries/<id>")
def show(id: str) -> Response:
    found = gateway().events.outbox.get(id)
    if found is None:
        raise Refused(404, "There is no such delivery", "not-found")
    return answer({**_shown(found), "body": found.body})


@blueprint.post("/api/gatehouse/deliveries/<id>/replay")
def replay(id: str) -> Response:
    """Makes one call again."""
    events = gateway().events
    if not events.outbox.replay(id, time.time()):
        raise Refused(404, "There is no such delivery", "not-found")
    events.wake()
    return answer({"Status": "OK", "Message": "Delivery scheduled", "Meta": id})


@blueprint.post("/api/gatehouse/deliveries/replay")
def replay_dead() -> Response:
    """`?hook_id=`: makes all dead calls of a hook again."""
    events = gateway().events
    count = events.outbox.replay_dead(request.args.get("hook_id", ""), time.time())
    events.wake()
    return answer({"Status": "OK", "Message": f"{count} deliveries scheduled", "Meta": count})


def _shown(delivery: Delivery) -> dict[str, Any]:
    """Without the hook's own headers, which may hold a credential of the receiver."""
    return {
        "id": delivery.id,
        "hook_id": delivery.hook_id,
        "event": delivery.event,
        "api_id": delivery.api_id,
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
