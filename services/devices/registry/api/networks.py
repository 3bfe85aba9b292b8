"""What a network asks: `/integration/network/resolve/<serial>`."""

from __future__ import annotations

from flask import Response

from services.devices.registry import schemas
from services.devices.schemas import Failure
from services.devices.web import Blueprint, answer, caller, needs, parts, secret_path

blueprint = Blueprint("networks", __name__, description="What a network asks: the token of a serial number.")


@blueprint.get("/integration/network/resolve/<serial>")
@needs("read", "middleware")
@blueprint.response(200, schemas.Resolved)
@blueprint.alt_response(404, schema=Failure, description="`Invalid serial number`")
def resolve(serial: str) -> Response:
    """The token that has this serial number, of a device of the network's account."""
    return answer(parts().device_tokens.resolve(caller(), serial, None))


@blueprint.get("/integration/network/resolve/<serial>/<authorization>")
@secret_path
@needs("read", "middleware")
@blueprint.response(200, schemas.Resolved)
@blueprint.alt_response(404, schema=Failure, description="`Invalid serial number`")
def resolve_with_code(serial: str, authorization: str) -> Response:
    """The same for a token with a verification code, which must be given."""
    return answer(parts().device_tokens.resolve(caller(), serial, authorization))
