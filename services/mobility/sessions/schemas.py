"""What is asked for and answered about sessions."""

from __future__ import annotations

from marshmallow import Schema, fields


class Key(Schema):
    """A session key."""

    status = fields.String(required=True, metadata={"enum": ["success"]})
    results = fields.List(fields.String(), required=True, metadata={"description": "One element: the session key."})
