"""Writes of nodes and of what layers say of them."""

from __future__ import annotations

from flask import Response

from services.mobility.schemas import Failure, Success
from services.mobility.web import WRITER, Blueprint, answer, caller, json_body, parts

blueprint = Blueprint("nodes", __name__, description="Writes of nodes, and of what layers say of them.")


@blueprint.put("/<cdk_id>/<layer>")
@blueprint.doc(**WRITER)
@blueprint.response(200, Success)
@blueprint.alt_response(401, schema=Failure, description="`Not Authorized`")
@blueprint.alt_response(403, schema=Failure, description="The layer is another owner's.")
@blueprint.alt_response(404, schema=Failure, description="There is no such layer or node.")
@blueprint.alt_response(422, schema=Failure, description="The body is wrong.")
def merge(cdk_id: str, layer: str) -> Response:
    """Merge data into what a layer says of a node."""
    parts().single_writes.merge(caller, cdk_id, layer, json_body)
    return answer()
