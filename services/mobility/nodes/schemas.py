"""What bulks are asked with and answer."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, fields, validate

from services.mobility.modalities import NAMES

_ID: Final = {"oneOf": [{"type": "string"}, {"type": "number"}]}
_MODALITIES: Final = {"type": "array", "items": {"type": "string", "enum": list(NAMES)}}
_NODE: Final = {
    "type": "object",
    "properties": {
        "id": {**_ID, "description": "Of a new node: unique in the layer. The cdk_id is made of it."},
        "name": {**_ID, "description": "Of a new node."},
        "geom": {"type": "object", "description": 'Of a new node: GeoJSON, or `{"type": "wkb", "wkb": "<hex>"}`.'},
        "cdk_id": {"type": "string", "description": "Of an existing node."},
        "cdk_ids": {"type": "array", "items": {"type": "string"}, "description": "Of the members of a new route, in order."},
        "data": {"type": "object", "description": "Keys with strings, numbers, booleans or null."},
        "modalities": {**_MODALITIES, "description": "Of the data."},
        "validity": {
            "type": "array",
            "items": {"type": "string", "format": "date-time"},
            "minItems": 2,
            "maxItems": 2,
            "description": "From when to when the data holds.",
        },
    },
}
_PARAMS: Final = {
    "type": "object",
    "properties": {
        "create_type": {
            "type": "string",
            "enum": ["update", "routes", "create"],
            "default": "update",
            "description": "`update` writes to existing nodes; `routes` creates routes, too; `create` creates all nodes.",
        },
        "srid": {"type": "integer", "default": 4326, "minimum": 1, "description": "Coordinate system of the geometries: an EPSG code."},
        "modalities": {**_MODALITIES, "description": "Of the new nodes themselves."},
        "node_type": {
            "type": "string",
            "enum": ["node", "route", "ptstop", "ptline"],
            "description": "Of the new nodes. `ptstop` changes existing nodes to stops, too.",
        },
    },
}
BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["nodes"],
                "properties": {
                    "create": {"type": "object", "properties": {"params": _PARAMS}},
                    "nodes": {"type": "array", "maxItems": 10_000, "items": _NODE},
                },
            }
        }
    },
}


class Written(Schema):
    """A node of the request."""

    id = fields.Raw(metadata={**_ID, "description": "As given; only if the node was named by it."})
    cdk_id = fields.String(required=True)


class Skipped(Schema):
    """A node of the request that was not written."""

    index = fields.Integer(required=True, metadata={"description": "In the request, from 0 on."})
    reason = fields.String(required=True)


class Totals(Schema):
    """How many nodes."""

    created = fields.Integer(required=True)
    updated = fields.Integer(required=True)
    skipped = fields.Integer(required=True)


class Results(Schema):
    """What became of the nodes of a request, each in its order."""

    created = fields.List(fields.Nested(Written), required=True)
    updated = fields.List(fields.Nested(Written), required=True)
    skipped = fields.List(fields.Nested(Skipped), required=True)
    totals = fields.Nested(Totals, required=True)


class Created(Schema):
    """How the request was read, and what it did."""

    params = fields.Dict(required=True, metadata={"description": "As given."})
    results = fields.Nested(Results, required=True)


class BulkAnswer(Schema):
    """A bulk is written, or would be."""

    status = fields.String(required=True, validate=validate.Equal("success"))
    create = fields.Nested(Created, required=True)
    dry_run = fields.Boolean(metadata={"description": "True when nothing was written because that was asked for."})
