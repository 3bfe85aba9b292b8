"""`/<cdk_id>` and what is below it."""

from __future__ import annotations

from flask import Response, request

from services.mobility.schemas import Failure, Success
from services.mobility.web import Blueprint, answer, parts

blueprint = Blueprint("reads", __name__, description="Reads, which need no session.")


@blueprint.get("/<cdk_id>")
@blueprint.response(200, Success)
@blueprint.alt_response(404, schema=Failure, description="There is no such node.")
def node(cdk_id: str) -> Response:
    """One node."""
    return answer(url=request.url, results=[parts().nodes.one(cdk_id)])
