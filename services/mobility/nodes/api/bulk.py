"""`PUT /nodes/<layer>`: many nodes at once."""

from __future__ import annotations

from flask import Response

from services.mobility.nodes.schemas import BODY, BulkAnswer
from services.mobility.web import Blueprint, answer, caller, flag, parts, read_json_body, writes

blueprint = Blueprint("bulk", __name__, description="Writes of many nodes at once.")

_DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "description": "`true`: answer as if it were written, and write nothing.",
    "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
}


@blueprint.put("/nodes/<layer>")
@writes(
    blueprint,
    {
        404: "There is no such layer, or a node with one of the cdk_ids does not exist.",
        413: "The body has more than 10 MiB.",
        422: "The body is wrong; `index` says which node. Nothing is written.",
        503: "Other large bulks are at work, or accounts cannot be checked now.",
    },
    requestBody=BODY,
    parameters=[_DRY_RUN],
)
@blueprint.response(200, BulkAnswer)
def write(layer: str) -> Response:
    """Create nodes and write data to existing ones: all of it, or nothing."""
    dry_run = flag("dry_run")
    done = parts().bulk_writes.write(caller, layer, read_json_body, dry_run=dry_run)
    return answer({"create": done, "dry_run": True} if dry_run else {"create": done})
