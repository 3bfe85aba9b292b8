"""Shares of a quota that somebody wants to hear of (Tyk's `monitor.trigger_limits`, in percent).

A counter gives every request of a window another number, over all workers. So the request with the number that reaches a share fires the
event, and no other one of this window does. Differs from Tyk: there, every request above the share fires it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.gateway.keys.model import Triggers

TRIGGER_EXCEEDED: Final = "TriggerExceeded"
_MESSAGE: Final = "Quota trigger reached"


def triggered(triggers: Triggers, limit: int, remaining: int, key: str, org_id: str) -> Iterator[dict[str, str]]:
    """Yield the metadata of each share that a charged request reaches. key: what the event names: the id of a key, or an organisation."""
    number = limit - remaining
    for share in triggers.get(number, ()):
        yield {
            "Message": _MESSAGE,
            "Key": key,
            "OrgID": org_id,
            "TriggerLimit": f"{share:g}",
            "UsagePercentage": str(number * 100 // limit),
        }
