"""Calls of webhooks: find them, and repeat them."""

from __future__ import annotations

import time

from services.common.webhooks.outbox import Delivery
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes.ports import Gateway


def existing(gateway: Gateway, id: str) -> Delivery:
    """Return a call by its id. Raises OperatorRefusal."""
    found = gateway.events.outbox.get(id)
    if found is None:
        raise refusals.delivery_unknown()
    return found


def replay(gateway: Gateway, id: str) -> None:
    """Repeat one call. Raises OperatorRefusal."""
    if not gateway.events.outbox.replay(id, time.time()):
        raise refusals.delivery_unknown()
    gateway.events.wake()


def replay_dead(gateway: Gateway, hook_id: str | None) -> int:
    """Repeat all dead calls of a webhook, and return their number. hook_id: None = of every webhook."""
    count = gateway.events.outbox.replay_dead(hook_id, time.time())
    gateway.events.wake()
    return count
