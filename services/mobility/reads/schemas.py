"""How reads look, for the OpenAPI document."""

from __future__ import annotations

from marshmallow import Schema, fields

from services.mobility.modalities import NAMES
from services.mobility.schemas import Success


class Start(Success):
    """What the service is, and whether it can work."""

    url = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    health = fields.Dict(keys=fields.String(), values=fields.String(), required=True, metadata={"description": "`ok`, by check."})


class RecordSchema(Schema):
    """What a layer says of a node."""

    data = fields.Dict(required=True, metadata={"description": "Flat: keys and JSON scalars."})
    modalities = fields.List(fields.String(metadata={"enum": list(NAMES)}))
    validity = fields.List(fields.DateTime(allow_none=True), metadata={"description": "From, to; UTC."})


class NodeSchema(Schema):
    """A node."""

    cdk_id = fields.String(required=True)
    name = fields.String(required=True, metadata={"description": "Empty when it has none."})
    node_type = fields.String(required=True, metadata={"enum": ["node", "route", "ptstop", "ptline"]})
    modalities = fields.List(fields.String(metadata={"enum": list(NAMES)}), metadata={"description": "Of the node itself."})
    layers = fields.Dict(keys=fields.String(), values=fields.Nested(RecordSchema), metadata={"description": "Data, by layer."})
    layer = fields.String(required=True, metadata={"description": "Its creator; `none` when that has deleted it."})
    distance = fields.Float(metadata={"description": "Metres from the place that was asked for."})
    geom = fields.Dict(metadata={"description": "GeoJSON, in EPSG:4326."})


class NodeOne(Success):
    """One node."""

    url = fields.String(required=True)
    results = fields.List(fields.Nested(NodeSchema), required=True)


class NodeList(Success):
    """A page of nodes. Counts are `not counted.` unless they are asked for or this is the last page."""

    url = fields.String(required=True)
    pages = fields.Raw(required=True, metadata={"type": ["integer", "string"]})
    per_page = fields.Integer(required=True)
    record_count = fields.Raw(required=True, metadata={"type": ["integer", "string"]})
    next_page = fields.Integer(required=True, metadata={"description": "-1 at the end."})
    results = fields.List(fields.Nested(NodeSchema), required=True)


class LayerData(Success):
    """What one layer says of a node: a list of one, or an empty one."""

    url = fields.String(required=True)
    results = fields.List(fields.Dict(keys=fields.String(), values=fields.Nested(RecordSchema)), required=True)


class LayerKey(Success):
    """One key of what a layer says of a node."""

    url = fields.String(required=True)
    results = fields.Dict(required=True, metadata={"description": "`{<key>: <value>}`; null when the key is not there."})


class Selected(Success):
    """A page of nodes, as lists are; or a timetable, which has `results` of its own."""

    url = fields.String(required=True)
    pages = fields.Raw(required=True, metadata={"type": ["integer", "string"]})
    per_page = fields.Integer()
    record_count = fields.Raw(metadata={"type": ["integer", "string"]})
    next_page = fields.Integer(metadata={"description": "-1 at the end."})
    results = fields.List(fields.Dict(), required=True)
    truncated = fields.Boolean(metadata={"description": "The timetable has more than is shown."})


class Matched(Success):
    """nodes: what can be sent to the bulk call as it is: with the `cdk_id` that was found, or else as it came."""

    match = fields.Dict(required=True, metadata={"description": "`params` as they count, and `results`: found, not_found, totals, debug."})
    nodes = fields.List(fields.Dict(), required=True)
