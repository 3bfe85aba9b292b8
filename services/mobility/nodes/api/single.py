"""`/<cdk_id>/<layer>`: writes of what one layer says of one node."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, request

from services.mobility import modalities
from services.mobility.nodes.rules.versions import Conditions
from services.mobility.schemas import Deleted, Success
from services.mobility.web import Blueprint, answer, caller, flag, parts, small_json_body, writes

blueprint = Blueprint("nodes", __name__, description="Writes of what a layer says of a node.")

_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["data"],
                "properties": {
                    "data": {
                        "type": "object",
                        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
                        "description": "At most 100,000 bytes of JSON, with what is there already.",
                    },
                    "modalities": {"type": "array", "items": {"type": "string", "enum": list(modalities.NAMES)}},
                    "validity": {
                        "type": "array",
                        "items": {"type": "string", "format": "date-time"},
                        "minItems": 2,
                        "maxItems": 2,
                        "description": "From when to when the data holds.",
                    },
                },
            }
        }
    },
}
_CONDITIONS: Final[list[dict[str, Any]]] = [
    {"name": "If-Match", "in": "header", "description": "ETag of the record as it was read; `*`: any.", "schema": {"type": "string"}},
    {"name": "If-None-Match", "in": "header", "description": "`*`: only if there is no record.", "schema": {"type": "string"}},
]
_DELETE_NODE: Final[dict[str, Any]] = {
    "name": "delete_node",
    "in": "query",
    "description": "`true`: also the node, if the layer created it, and no other layer has data there, and no route goes through it.",
    "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
}


@blueprint.put("/<cdk_id>/<layer>")
@writes(
    blueprint,
    {
        404: "There is no such layer or node.",
        412: "The record is another one than the conditions say.",
        413: "The body has more than 1 MiB.",
        422: "The body is wrong.",
    },
    requestBody=_BODY,
    parameters=_CONDITIONS,
)
@blueprint.response(200, Success)
def merge(cdk_id: str, layer: str) -> Response:
    """Merge data into what a layer says of a node: keys overwrite, modalities are added, a validity replaces the one before."""
    parts().single_writes.merge(caller, cdk_id, layer, small_json_body, _conditions())
    return answer()


@blueprint.delete("/<cdk_id>/<layer>")
@writes(
    blueprint,
    {
        404: "There is no such layer or node.",
        412: "The record is another one than the conditions say.",
        422: "`delete_node` is neither `true` nor `false`.",
    },
    parameters=[_DELETE_NODE, *_CONDITIONS],
)
@blueprint.response(200, Deleted)
def delete(cdk_id: str, layer: str) -> Response:
    """Delete what a layer says of a node, if it says something; with `delete_node=true` the node, too, unless others need it."""
    fate = parts().single_writes.delete(caller, cdk_id, layer, _conditions(), also_node=flag("delete_node"))
    return answer() if fate is None else answer(node=fate)


def _conditions() -> Conditions:
    return Conditions(request.headers.get("If-Match"), request.headers.get("If-None-Match"))
