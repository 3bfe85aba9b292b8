"""What a device reads about itself: `/info`, `/device/params`."""

from __future__ import annotations

from flask import Response

from services.devices.registry import schemas
from services.devices.registry.api import shown
from services.devices.web import Blueprint, answer, needs, parts, require

blueprint = Blueprint("own", __name__, description="What a device reads about itself.")


@blueprint.get("/info")
@needs("read", "device")
@blueprint.response(200, schemas.DeviceAnswer)
def info() -> Response:
    """The device of the token."""
    device = require("read", "device").device
    assert device is not None
    return answer(shown.device(parts().registry.by_number(device.no)))
