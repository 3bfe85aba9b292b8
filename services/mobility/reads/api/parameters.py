"""The query parameters of lists, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.mobility import modalities, paging
from services.mobility.reads.rules.queries import NAME_LIMIT


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"in": "query", "name": name, "description": description, "schema": {"type": "string", **schema}}


def _flag(name: str, description: str) -> dict[str, Any]:
    return {**_parameter(name, f"{description} A flag: its presence counts, not its value."), "allowEmptyValue": True}


def _number(name: str, description: str) -> dict[str, Any]:
    return _parameter(name, description, type="number")


GEOM: Final = _flag("geom", "Show geometries, as GeoJSON in EPSG:4326.")
FORMAT: Final = _parameter(
    "format", "`geojson`: answer with GeoJSON features, as `Accept: application/geo+json` does.", enum=["json", "geojson"]
)
LAYER: Final = _parameter("layer", "Show the data of these layers, separated by `,` or `|`; `*`: of all; `x.*`: of those below `x`.")
IF_NONE_MATCH: Final = {
    "in": "header",
    "name": "If-None-Match",
    "description": "Entity tags of versions that the client has: then it is told only whether it is one of them.",
    "schema": {"type": "string"},
}
ETAG: Final = {"ETag": {"description": "The version of the data. Missing when there is none.", "schema": {"type": "string"}}}
NODE: Final[list[Mapping[str, Any]]] = [LAYER, GEOM, FORMAT]
LIST: Final[list[Mapping[str, Any]]] = [
    _parameter("page", "From 1 on. What is no number is 1.", default="1"),
    _parameter("per_page", f"Results of a page, at most {paging.MOST}. What is no number is {paging.USUAL}.", default=str(paging.USUAL)),
    _flag("count", "Count all that is found: `pages` and `record_count` are numbers."),
    GEOM,
    FORMAT,
    _parameter("name", "Nodes whose name has this in it, whatever its capitals.", maxLength=NAME_LIMIT),
    _flag("trigrams", "With `name`: nodes whose name is like it, the likest first, as PostgreSQL's pg_trgm says (at least 0.3)."),
    _parameter(
        "layer",
        "Nodes on which layers have data, and that data: `a,b` all of them, `a|b` any, `x.*` any below `x`. `*` shows all data and asks "
        "for none.",
    ),
    _parameter("data_op", "How the values of `<layer>::<key>` and these filters are joined: `and` with `,`, `or` with `|`.", default="and"),
    {
        "in": "query",
        "name": "filters",
        "description": "`<layer>::<key>=<value>`: nodes on which the layer's data has the key with this value, compared as text; without a "
        "value: with any. Several values by `,` or, with `data_op=or`, by `|`. The data is shown.",
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        "style": "form",
        "explode": True,
    },
    _number("lat", "With `lon`: a place in degrees north. The nearest nodes come first, with their `distance` in metres."),
    _number("lon", "Degrees east."),
    _number("y", "With `x`: a place as `lat` and `lon`, in the coordinate system of `srid`."),
    _number("x", "See `y`."),
    _parameter("srid", "The EPSG number of the place's coordinate system.", default="4326"),
    _number("radius", "Metres around the place that the nodes are within."),
    _parameter("bbox", "Nodes fully inside the box `top,left,bottom,right`, in degrees. With left above right it crosses the date line."),
    _parameter("starts_in", "Routes whose first member this cdk_id is."),
    _parameter("ends_in", "Routes whose last member this cdk_id is."),
    _parameter("contains", "Routes with these members, at most 10 cdk_ids separated by `,`, in this order."),
    _parameter("modality", f"Nodes with these modalities: `a,b` all of them, `a|b` any. They are {', '.join(modalities.NAMES)}."),
]
