"""`/layers` and `/layer/<layer>`."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from services.mobility import paging
from services.mobility.layers import rules
from services.mobility.layers.schemas import LayerList, OneLayer
from services.mobility.schemas import Failure, Success
from services.mobility.web import Blueprint, answer, caller, flag, listing, parts, query, small_json_body, writes

blueprint = Blueprint("layers", __name__, description="Layers: who says something of nodes.")

_TEXT = {"type": "string"}
_GEOM = {"name": "geom", "in": "query", "description": "Flag: with the boxes of layers.", "schema": _TEXT}
_LIST = [
    {"name": "name", "in": "query", "description": "Part of the name, in any case; `x.*` for all below `x`.", "schema": _TEXT},
    {"name": "category", "in": "query", "description": "Part of the category, in any case.", "schema": _TEXT},
    {"name": "lat", "in": "query", "description": "With `lon`: layers whose box holds the point. Degrees.", "schema": _TEXT},
    {"name": "lon", "in": "query", "schema": _TEXT},
    {"name": "where", "in": "query", "description": "cdk_id of a node: layers whose box it meets.", "schema": _TEXT},
    {"name": "page", "in": "query", "schema": _TEXT},
    {"name": "per_page", "in": "query", "description": "At most 1000; 10 by default.", "schema": _TEXT},
    _GEOM,
]
_DELETE_LAYER = {
    "name": "delete_layer",
    "in": "query",
    "description": "`true`: the layer itself, too.",
    "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
}
_REQUIRED = ("name", "description", "organization", "category")
_FIELDS = {
    **dict.fromkeys(_REQUIRED, _TEXT),
    "data_sources": {"type": "array", "items": _TEXT},
    "realtime": {"type": "boolean"},
    "update_rate": {"type": "integer", "description": "Seconds."},
    "validity": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2, "description": "Two moments or days, in ISO 8601."},
}


def _body(data: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": ["data"], "properties": {"data": data}}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


_NEW = _body({"type": "object", "required": list(_REQUIRED), "properties": _FIELDS})
_CHANGE = _body({"type": "object", "properties": _FIELDS})
_STATUS = _body(_TEXT)


@blueprint.get("/layers", strict_slashes=False)
@blueprint.response(200, LayerList)
@blueprint.alt_response(404, schema=Failure, description="`where` names no node.")
@blueprint.alt_response(422, schema=Failure, description="`lat` or `lon` is wrong.")
@blueprint.doc(parameters=_LIST)
def layers() -> Response:
    """A page of layers, in the order of creation; always counted."""
    given = query()
    page = paging.read(given)
    found, total = parts().layers.page(page, rules.wanted(given), given.get("where"), geom="geom" in given)
    more = page.offset + len(found) < total and bool(found)
    return listing(page, found, more=more, total=total)


@blueprint.get("/layer/<layer>", strict_slashes=False)
@blueprint.response(200, OneLayer)
@blueprint.alt_response(404, schema=Failure, description="There is no such layer.")
@blueprint.doc(parameters=[_GEOM])
def layer(layer: str) -> Response:
    """One layer."""
    return answer(url=request.url, results=[parts().layers.one(layer, geom="geom" in request.args)])


@blueprint.put("/layers")
@writes(
    blueprint,
    {
        403: "The owner may not create layers in this domain.",
        404: None,
        413: "The body has more than 1 MiB.",
        422: "The body is wrong; `message` has the mistakes by field.",
    },
    requestBody=_NEW,
)
@blueprint.response(200, Success)
def create() -> Response:
    """Create a layer. A name that exists is refused: `PUT /layer/<layer>` changes a layer."""
    parts().layers.create(caller(), small_json_body)
    return answer()


@blueprint.put("/layer/<layer>")
@writes(
    blueprint, {413: "The body has more than 1 MiB.", 422: "The body is wrong; `message` has the mistakes by field."}, requestBody=_CHANGE
)
@blueprint.response(200, Success)
def change(layer: str) -> Response:
    """Change fields of a layer; those that are not given stay."""
    parts().layers.change(layer, caller, small_json_body)
    return answer()


@blueprint.put("/layer/<layer>/status")
@writes(blueprint, {413: "The body has more than 1 MiB.", 422: "The body is wrong."}, requestBody=_STATUS)
@blueprint.response(200, Success)
def status(layer: str) -> Response:
    """Let a layer show a text, such as how its import went."""
    parts().layers.write_status(layer, caller, small_json_body)
    return answer()


@blueprint.delete("/layer/<layer>")
@writes(
    blueprint,
    {
        422: "The layer is permanent, or `delete_layer` is neither `true` nor `false`.",
        503: "Not finished: send the request again. Or accounts cannot be checked now.",
    },
    parameters=[_DELETE_LAYER],
)
@blueprint.response(200, Success)
def delete(layer: str) -> Response:
    """Delete a layer's data, and the nodes it created unless others need them."""
    parts().layers.delete(layer, caller, layer_too=flag("delete_layer"))
    return answer()
