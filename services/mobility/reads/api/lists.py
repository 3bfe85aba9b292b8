"""Lists of nodes: all of them, or those in the area of one."""

from __future__ import annotations

from flask import Response, request

from services.mobility.reads.api import answers, parameters
from services.mobility.reads.rules import queries
from services.mobility.reads.schemas import NodeList
from services.mobility.reads.service.resolving import LISTS
from services.mobility.schemas import Failure
from services.mobility.web import Blueprint, parts

blueprint = Blueprint("lists", __name__, description="Lists of nodes. No session is needed.")


def _add(kind: str) -> None:
    """Add the two lists of a kind."""

    @blueprint.get(f"/{kind}", endpoint=kind)
    @blueprint.doc(summary=f"List {kind}.", parameters=parameters.LIST)
    @blueprint.response(200, NodeList)
    @blueprint.alt_response(422, schema=Failure, description="A parameter is wrong, or the query takes too long.")
    def everywhere() -> Response:
        return _list(kind)

    @blueprint.get(f"/<cdk_id>/{kind}", endpoint=f"{kind}_within")
    @blueprint.doc(summary=f"List {kind} inside or crossing the area of a node; what contains it is left out.", parameters=parameters.LIST)
    @blueprint.response(200, NodeList)
    @blueprint.alt_response(404, schema=Failure, description="There is no such node.")
    @blueprint.alt_response(422, schema=Failure, description="A parameter is wrong, or the query takes too long.")
    def within(cdk_id: str) -> Response:
        return _list(kind, cdk_id)


for _kind in LISTS:
    _add(_kind)


def _list(kind: str, within: str | None = None) -> Response:
    query = queries.read(request.args.items(multi=True))
    as_geojson = answers.wants_geojson()
    found = parts().lists.read(kind, query, within, geom=query.geom or as_geojson)
    return answers.listing(query.page, found, as_geojson=as_geojson)
