"""`/<cdk_id>/select/<command>`: what belongs to a node."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, request

from services.mobility import web
from services.mobility.reads.api import answers, parameters
from services.mobility.reads.rules import queries
from services.mobility.reads.rules import select as rules
from services.mobility.reads.schemas import Selected
from services.mobility.schemas import Failure
from services.mobility.web import Blueprint, answer, parts

blueprint = Blueprint("select", __name__, description="What belongs to a node: routes, members, regions, timetables.")

_COMMAND: Final = {
    "in": "path",
    "name": "command",
    "required": True,
    "description": "; ".join(f"of a {kind}: {', '.join(f'`{one}`' for one in commands)}" for kind, commands in rules.COMMANDS.items()),
    "schema": {"type": "string", "enum": sorted({one for commands in rules.COMMANDS.values() for one in commands})},
}
_DAY: Final[dict[str, Any]] = {
    "in": "query",
    "name": "day",
    "description": "Of a line's `schedule`: days from today.",
    "schema": {"type": "integer", "minimum": 0, "maximum": rules.DAYS_MOST, "default": 0},
}


@blueprint.get("/<cdk_id>/select/<command>", strict_slashes=False)
@blueprint.doc(parameters=[_COMMAND, _DAY, *parameters.LIST])
@blueprint.response(200, Selected)
@blueprint.alt_response(404, schema=Failure, description="There is no such node.")
@blueprint.alt_response(
    422, schema=Failure, description="No such command for this type of node, a wrong parameter, or a query that is too slow."
)
def select(cdk_id: str, command: str) -> Response:
    """Select what belongs to a node: a list as others, or the timetable of a stop (of seven days, or now) or of a line (of one day)."""
    if command in rules.TIMETABLES:
        return answer({"url": request.url}, **parts().select.timetable(cdk_id, command, web.query().get("day")))
    query = rules.whole(queries.read(request.args.items(multi=True)), command, web.query().get("per_page"))
    as_geojson = answers.wants_geojson()
    found = parts().select.list(cdk_id, command, query, geom=query.geom or as_geojson)
    return answers.listing(query.page, found, as_geojson=as_geojson)
