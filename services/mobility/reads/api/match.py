"""`/util/match`: which nodes a client's own objects are."""

from __future__ import annotations

from typing import Any

from flask import Response

from services.mobility.reads.schemas import Matched
from services.mobility.web import Blueprint, answer, caller, json_body, parts, writes

blueprint = Blueprint("match", __name__, description="Finds the nodes that a client's own objects are.")

_SCALARS = {"type": ["string", "number", "boolean", "null"]}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["match", "nodes"],
                "properties": {
                    "match": {
                        "type": "object",
                        "required": ["params"],
                        "properties": {
                            "params": {
                                "type": "object",
                                "required": ["layers", "geometry_type"],
                                "properties": {
                                    "geometry_type": {"type": "string", "enum": ["point"]},
                                    "layers": {
                                        "type": "object",
                                        "description": "Layer → key → a value or several, any of which will do.",
                                        "additionalProperties": {
                                            "type": "object",
                                            "additionalProperties": {"anyOf": [_SCALARS, {"type": "array", "items": _SCALARS}]},
                                        },
                                    },
                                    "radius": {"type": "integer", "minimum": 1, "maximum": 5000, "default": 250},
                                    "srid": {"type": "integer", "minimum": 1, "default": 4326},
                                    "debug": {"type": "boolean", "default": False},
                                },
                            },
                            "known": {
                                "type": "object",
                                "description": "cdk_ids by the ids of your nodes: these are not searched for.",
                                "additionalProperties": {"type": "string"},
                            },
                        },
                    },
                    "nodes": {"type": "array", "maxItems": 1000, "items": {"type": "object", "required": ["id"]}},
                },
            }
        }
    },
}


@blueprint.post("/util/match")
@writes(
    blueprint,
    {
        403: "The token may not write.",
        404: None,
        413: "The body has more than 10 MiB.",
        422: "The body is wrong, or the search takes too long.",
        503: "Other large bodies are at work, or accounts cannot be checked now.",
    },
    requestBody=_BODY,
)
@blueprint.response(200, Matched)
def match() -> Response:
    """Find the nodes that points of your own are, by distance and name. The answer's `nodes` can be sent to the bulk call as they are."""
    return answer(parts().matching.match(caller(), json_body))
