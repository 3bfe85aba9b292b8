"""How devices, tokens and parameters look as JSON."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.common.clock import isoformat
from services.devices.registry.store.devices import Whole


def device(found: Whole) -> dict[str, Any]:
    """Show a device."""
    it = found.device
    return {
        "id": it.id,
        "profile": it.account,
        "name": it.name,
        "description": it.description,
        "type": it.type,
        "active": it.active,
        "visible": it.visible,
        "network": it.network,
        "connector": it.connector,
        "payload_decoder": it.payload_decoder,
        "chunk_period": it.chunk_period,
        "chunk_retention": it.chunk_retention,
        "tags": it.tags,
        "bucket": {"id": it.id, "name": it.name},
        "last_input": moment(found.last_input),
        "created_at": moment(it.created_at),
        "updated_at": moment(it.updated_at),
    }


def moment(value: dt.datetime | None) -> str | None:
    """Write a moment as ISO 8601 in UTC, None for none."""
    return isoformat(value) if value else None
