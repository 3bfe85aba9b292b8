"""What is answered about layers, for the OpenAPI document."""

from __future__ import annotations

from marshmallow import Schema, fields


class Layer(Schema):
    """A layer."""

    name = fields.String(required=True)
    category = fields.String(required=True)
    organization = fields.String(required=True)
    owner = fields.String(required=True, metadata={"description": "E-mail of its owner."})
    description = fields.String(required=True)
    data_sources = fields.List(fields.String(), required=True)
    imported_at = fields.DateTime(required=True, allow_none=True)
    update_rate = fields.Integer(allow_none=True, metadata={"description": "Seconds. Of real-time layers."})
    validity = fields.List(fields.DateTime(), metadata={"description": "Two moments. Of other layers, when it was given."})
    status = fields.String(
        required=True, metadata={"description": "The text that its importer left; `all cleared` after its data was deleted."}
    )
    bbox = fields.Dict(metadata={"description": "With `geom`: a GeoJSON polygon around what the layer holds."})


class OneLayer(Schema):
    """One layer."""

    status = fields.String(required=True, metadata={"enum": ["success"]})
    url = fields.String(required=True)
    results = fields.List(fields.Nested(Layer), required=True)


class LayerList(OneLayer):
    """A page of layers."""

    pages = fields.Integer(required=True)
    per_page = fields.Integer(required=True)
    record_count = fields.Integer(required=True)
    next_page = fields.Integer(required=True, metadata={"description": "-1 at the end."})
