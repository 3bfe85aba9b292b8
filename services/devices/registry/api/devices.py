"""Devices, as their account manages them: `/device`."""

from __future__ import annotations

from typing import Any

from flask import Response

from services.devices.registry import schemas
from services.devices.schemas import Failure
from services.devices.web import Blueprint, answer, caller, needs, parts

blueprint = Blueprint("devices", __name__, description="Devices, as their account manages them.")


@blueprint.post("/device")
@needs("write", "account", "analysis")
@blueprint.arguments(schemas.NewDevice())
@blueprint.response(201, schemas.CreatedAnswer)
@blueprint.alt_response(409, schema=Failure, description="The serial number is taken.")
def create(given: dict[str, Any]) -> Response:
    """Create a device. It comes with a token `Default`, which may do everything and never ends."""
    made = parts().registry.create(caller(), given)
    return answer({"device_id": made.id, "bucket_id": made.id, "token": made.token}, 201)
