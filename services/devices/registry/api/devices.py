"""Devices, as their account manages them: `/device`."""

from __future__ import annotations

from typing import Any

from flask import Response

from services.devices.registry import schemas
from services.devices.registry.api import shown
from services.devices.registry.rules import listing
from services.devices.registry.service.devices import COLUMNS
from services.devices.schemas import Failure
from services.devices.web import Blueprint, answer, caller, needs, parts, query_of_list, query_pairs

blueprint = Blueprint("devices", __name__, description="Devices, as their account manages them.")

_LIST = query_of_list(
    "Devices", COLUMNS, "id", "name", "active", "visible", "type", "network", "connector", "serial", "tags][0][key", "tags][0][value",
    "created_at", "updated_at", "last_input",
)  # fmt: skip


@blueprint.post("/device")
@needs("write", "account", "analysis")
@blueprint.arguments(schemas.NewDevice())
@blueprint.response(201, schemas.CreatedAnswer)
@blueprint.alt_response(409, schema=Failure, description="The serial number is taken.")
def create(given: dict[str, Any]) -> Response:
    """Create a device. It comes with a token `Default`, which may do everything and never ends."""
    made = parts().registry.create(caller(), given)
    return answer({"device_id": made.id, "bucket_id": made.id, "token": made.token}, 201)


@blueprint.get("/device")
@needs("read", "account", "analysis")
@blueprint.response(200, schemas.DeviceList)
@blueprint.alt_response(400, schema=Failure, description="`Error on Query String parameters`")
@blueprint.doc(parameters=_LIST)
def devices() -> Response:
    """Devices of the account, by page."""
    with parts().shares.one(caller().account):
        found, fields = parts().registry.page(caller(), query_pairs())
    return answer([listing.show(shown.device(one, fields), fields) for one in found])


@blueprint.get("/device/<device_id>")
@needs("read", "account", "analysis")
@blueprint.response(200, schemas.DeviceAnswer)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
def device(device_id: str) -> Response:
    """One device."""
    return answer(shown.device(parts().registry.whole(caller(), device_id)))


@blueprint.put("/device/<device_id>")
@needs("write", "account", "analysis")
@blueprint.arguments(schemas.DeviceChange())
@blueprint.response(200, schemas.DeviceChanged)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
def change(given: dict[str, Any], device_id: str) -> Response:
    """Change what is given. Type and chunk period are changed by `convert`; network and connector while there is no token."""
    parts().registry.change(caller(), device_id, given)
    return answer("Successfully Updated")


@blueprint.delete("/device/<device_id>")
@needs("write", "account", "analysis")
@blueprint.response(200, schemas.Removed)
@blueprint.alt_response(400, schema=Failure, description="It has the tag `_deletion_protection`.")
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
def remove(device_id: str) -> Response:
    """Remove a device with its tokens, parameters and data."""
    parts().registry.remove(caller(), device_id)
    return answer("Successfully Removed")
