"""The storage of a device: how much there is, its chunks, empty, convert."""

from __future__ import annotations

from typing import Any

from flask import Response

from services.devices.registry import schemas
from services.devices.registry.api import shown
from services.devices.schemas import Failure
from services.devices.web import Blueprint, answer, caller, needs, parts

blueprint = Blueprint("storage", __name__, description="The storage of a device, as its account manages it.")


@blueprint.get("/device/<device_id>/data_amount")
@needs("read", "account", "analysis")
@blueprint.response(200, schemas.Amount)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
def amount(device_id: str) -> Response:
    """How many records the device has."""
    return answer(parts().storage.amount(caller(), device_id))


@blueprint.post("/device/<device_id>/empty")
@needs("write", "account", "analysis")
@blueprint.response(200, schemas.Emptied)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
def empty(device_id: str) -> Response:
    """Remove all data of the device. A body is not needed, and not read."""
    parts().storage.empty(caller(), device_id)
    return answer("Data Successfully Removed")


@blueprint.post("/device/<device_id>/convert")
@needs("write", "account", "analysis")
@blueprint.arguments(schemas.Conversion())
@blueprint.response(200, schemas.Converted)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
def convert(given: dict[str, Any], device_id: str) -> Response:
    """Change type or chunks of a device that is empty and inactive. Its tokens stay."""
    parts().storage.convert(caller(), device_id, given)
    return answer("Device type/chunk was converted")


@blueprint.get("/device/<device_id>/chunk")
@needs("read", "account", "analysis")
@blueprint.response(200, schemas.ChunkList)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
def chunks(device_id: str) -> Response:
    """The chunks of an immutable device that hold data, the newest first."""
    return answer([shown.chunk(one) for one in parts().storage.chunks(caller(), device_id)])


@blueprint.delete("/device/<device_id>/chunk/<chunk_id>")
@needs("write", "account", "analysis")
@blueprint.response(200, schemas.ChunkRemoved)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`, `Invalid Chunk ID`")
def remove_chunk(device_id: str, chunk_id: str) -> Response:
    """Remove a chunk with its data."""
    parts().storage.remove_chunk(caller(), device_id, chunk_id)
    return answer(f"Chunk {chunk_id} deleted")
