"""`/<cdk_id>` and what is below it."""

from __future__ import annotations

from flask import Response, request

from services.mobility.reads.api import answers, parameters
from services.mobility.reads.schemas import LayerData, LayerKey, NodeOne
from services.mobility.schemas import Failure
from services.mobility.web import Blueprint, answer, parts, query

blueprint = Blueprint("reads", __name__, description="Reads of one node. No session is needed.")


@blueprint.get("/<cdk_id>")
@blueprint.doc(parameters=parameters.NODE)
@blueprint.response(200, NodeOne)
@blueprint.alt_response(404, schema=Failure, description="There is no such node.")
@blueprint.alt_response(422, schema=Failure, description="A parameter is wrong.")
def node(cdk_id: str) -> Response:
    """One node."""
    as_geojson = answers.wants_geojson()
    found = parts().nodes.one(cdk_id, query().get("layer"), geom=as_geojson or "geom" in request.args)
    return answers.one(found, as_geojson=as_geojson)


@blueprint.get("/<cdk_id>/<layer>")
@blueprint.doc(parameters=[parameters.IF_NONE_MATCH])
@blueprint.response(200, LayerData, headers=parameters.ETAG)
@blueprint.alt_response(304, description="It is the version that `If-None-Match` names.", success=True)
@blueprint.alt_response(404, schema=Failure, description="There is no such node or layer.")
def data(cdk_id: str, layer: str) -> Response:
    """What a layer says of a node. `ETag` is its version, for `If-Match` of a write."""
    record, tag = parts().nodes.record(cdk_id, layer)
    found = answer(url=request.url, results=[] if record is None else [{layer: record}])
    if tag is not None:
        found.headers["ETag"] = tag
        found.headers["Cache-Control"] = "no-cache"  # kept, and asked for with its version each time
        found.make_conditional(request)
    return found


@blueprint.get("/<cdk_id>/<layer>/<key>")
@blueprint.response(200, LayerKey)
@blueprint.alt_response(404, schema=Failure, description="There is no such node or layer, or the layer says nothing of the node.")
def key(cdk_id: str, layer: str, key: str) -> Response:
    """One key of what a layer says of a node; null when it is not there."""
    return answer(url=request.url, results={key: parts().nodes.value(cdk_id, layer, key)})
