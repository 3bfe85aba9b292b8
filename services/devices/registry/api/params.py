"""The configuration parameters of a device, as its account manages them: `/device/<id>/params`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from services.devices import refusals
from services.devices.registry import schemas
from services.devices.registry.api import shown
from services.devices.schemas import Failure
from services.devices.web import Blueprint, answer, body, caller, load, needs, parts

blueprint = Blueprint("params", __name__, description="Configuration parameters, which a device reads when it likes.")

_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"anyOf": [schemas.NewParam, {"type": "array", "items": schemas.NewParam}]}}},
}


@blueprint.get("/device/<device_id>/params")
@needs("read", "account", "analysis")
@blueprint.arguments(schemas.SentStatus(), location="query")
@blueprint.response(200, schemas.ParamList)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
def params(asked: dict[str, bool], device_id: str) -> Response:
    """The parameters of a device, sorted by key."""
    device = parts().registry.device(caller(), device_id)
    return answer([shown.param(one) for one in parts().params.of(device, asked.get("sent_status"))])


@blueprint.get("/device/<device_id>/params/<param_id>")
@needs("read", "account", "analysis")
@blueprint.response(200, schemas.ParamAnswer)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`, `Invalid Parameter ID`")
def param(device_id: str, param_id: str) -> Response:
    """One parameter."""
    return answer(shown.param(parts().params.one(parts().registry.device(caller(), device_id), param_id)))


@blueprint.post("/device/<device_id>/params")
@needs("write", "account", "analysis")
@blueprint.response(201, schemas.ParamsUpdated)
@blueprint.alt_response(400, schema=Failure, description="`Error on Body parameters`")
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`, `Invalid Parameter ID`")
@blueprint.alt_response(409, schema=Failure, description="Another version than the caller says.")
@blueprint.doc(requestBody=_BODY)
def write(device_id: str) -> Response:
    """Create or change one parameter or several, all or none: the one of the id, else the one of the key, else a new one."""
    parts().params.write(caller(), device_id, _given())
    return answer("Params Successfully Updated", 201)


@blueprint.post("/device/<device_id>/params/<param_id>")
@needs("write", "account", "analysis")
@blueprint.arguments(schemas.NewParam())
@blueprint.response(201, schemas.ParamsUpdated)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`, `Invalid Parameter ID`")
@blueprint.alt_response(409, schema=Failure, description="Another version than the caller says.")
def change(given: dict[str, Any], device_id: str, param_id: str) -> Response:
    """Change a parameter."""
    parts().params.write(caller(), device_id, [{**given, "id": param_id}])
    return answer("Params Successfully Updated", 201)


@blueprint.delete("/device/<device_id>/params/<param_id>")
@needs("write", "account", "analysis")
@blueprint.response(200, schemas.Removed)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`, `Invalid Parameter ID`")
def remove(device_id: str, param_id: str) -> Response:
    """Remove a parameter."""
    parts().params.remove(caller(), device_id, param_id)
    return answer("Successfully Removed")


def _given() -> list[Mapping[str, Any]]:
    """The parameters of the body: one object, or a list of them. Raises Refusal 400."""
    content = body()
    if content == []:
        raise refusals.body_invalid()
    found: list[Mapping[str, Any]] = load(schemas.NewParam(many=isinstance(content, list)), content)
    return found if isinstance(found, list) else [found]
