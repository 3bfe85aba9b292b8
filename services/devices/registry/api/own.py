"""What a device reads about itself: `/info`, `/device/params`."""

from __future__ import annotations

from typing import Any

from flask import Response

from services.devices.access import DeviceRef
from services.devices.registry import schemas
from services.devices.registry.api import shown
from services.devices.schemas import Failure
from services.devices.web import Blueprint, answer, caller, needs, parts

blueprint = Blueprint("own", __name__, description="What a device reads about itself.")


@blueprint.get("/info")
@needs("read", "device")
@blueprint.response(200, schemas.DeviceAnswer)
def info() -> Response:
    """The device of the token."""
    return answer(shown.device(parts().registry.by_number(_device().no)))


@blueprint.get("/device/params")
@needs("read", "device")
@blueprint.arguments(schemas.SentStatus(), location="query")
@blueprint.response(200, schemas.ParamList)
def params(asked: dict[str, bool]) -> Response:
    """The device's parameters, sorted by key."""
    return answer([shown.param(one) for one in parts().params.of(_device(), asked.get("sent_status"))])


@blueprint.put("/device/params/<param_id>")
@needs("write", "device")
@blueprint.arguments(schemas.Mark(), required=False)
@blueprint.response(200, schemas.ParamsUpdated)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Parameter ID`")
@blueprint.alt_response(409, schema=Failure, description="The parameter was changed since the version that the device says.")
def mark(given: dict[str, Any], param_id: str) -> Response:
    """Say that the device has read a parameter; the body may be left out."""
    parts().params.mark(_device(), param_id, sent=given["sent"], version=given.get("version"))
    return answer("Params Successfully Updated")


def _device() -> DeviceRef:
    device = caller().device
    assert device is not None  # only device tokens come in
    return device
