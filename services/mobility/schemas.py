"""What all answers have in common."""

from __future__ import annotations

from marshmallow import Schema, fields


class Success(Schema):
    """It is done."""

    status = fields.String(required=True, metadata={"enum": ["success"]})


class Failure(Schema):
    """It is refused. A layer's wrong fields make `message` an object: messages by field."""

    status = fields.String(required=True, metadata={"enum": ["fail"]})
    message = fields.Raw(required=True, metadata={"type": ["string", "object"], "description": "What is wrong and what to do."})
    index = fields.Integer(metadata={"description": "Of the node in the request that is wrong, from 0 on."})
    results = fields.List(fields.String(), metadata={"description": "`session busy` only."})


class Deleted(Success):
    """The data are gone."""

    node = fields.String(metadata={"enum": ["kept", "deleted"], "description": "What became of the node; with `delete_node=true` only."})
