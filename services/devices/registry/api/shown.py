"""How devices, tokens and parameters look as JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from services.common.clock import isoformat
from services.devices.data.rules import times
from services.devices.models import Chunk, DeviceToken, Param
from services.devices.registry.rules.tokens import NEVER
from services.devices.registry.service import storage
from services.devices.registry.service.tokens import Made
from services.devices.registry.store.devices import LONG, Whole


def device(found: Whole, fields: Collection[str] | None = None) -> dict[str, Any]:
    """Show a device. fields: those that are wanted; None: all. The others may be there or not."""
    it = found.device
    return {
        **{name: getattr(it, name) for name in LONG if fields is None or name in fields},
        "id": it.id,
        "profile": it.account,
        "name": it.name,
        "type": it.type,
        "active": it.active,
        "visible": it.visible,
        "network": it.network,
        "connector": it.connector,
        "chunk_period": it.chunk_period,
        "chunk_retention": it.chunk_retention,
        "tags": it.tags,
        "bucket": {"id": it.id, "name": it.name},
        "last_input": moment(found.last_input),
        "created_at": moment(it.created_at),
        "updated_at": moment(it.updated_at),
    }


def token(it: DeviceToken, device_id: str) -> dict[str, Any]:
    """Show a token without the token itself: in its place stands its id, by which it can be removed."""
    return {
        "id": it.id,
        "token": it.id,
        "last_four": it.last_four,
        "name": it.name,
        "permission": it.permission,
        "serie_number": it.serial,
        "last_authorization": moment(it.last_authorization),
        "created_at": moment(it.created_at),
        "expire_time": moment(it.expires_at) or NEVER,
        "device_id": device_id,
    }


def made(it: Made) -> dict[str, Any]:
    """Show a new token, this once."""
    ends = moment(it.expires_at) or NEVER
    return {"id": it.id, "token": it.token, "permission": it.permission, "expire_time": ends, "expire_date": ends}


def param(it: Param) -> dict[str, Any]:
    """Show a parameter."""
    return {
        "id": it.id,
        "key": it.key,
        "value": it.value,
        "sent": it.sent,
        "version": it.version,
        "created_at": moment(it.created_at),
        "updated_at": moment(it.updated_at),
    }


def chunk(it: Chunk) -> dict[str, Any]:
    """Show a chunk. Its ends have the names of TagoIO's API and those that its Python library documents."""
    begins, ends = times.write(it.starts), times.write(it.ends - 1)
    return {"id": storage.name(it), "from": begins, "to": ends, "from_date": begins, "to_date": ends, "amount": it.records}


def moment(value: dt.datetime | None) -> str | None:
    """Write a moment as ISO 8601 in UTC, None for none."""
    return isoformat(value) if value else None
