"""What the schemas of all nouns share. Parameters arrive as texts; the rules of the noun say what they mean."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, pre_load


def text(description: str) -> fields.String:
    """Declare a parameter."""
    return fields.String(metadata={"description": description})


class Query(Schema):
    """A query: unknown parameters are ignored, and of a repeated one the first counts."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def first(self, data: Any, **_: Any) -> dict[str, Any]:
        """Turn all values into texts: a JSON body may hold numbers and lists of texts."""
        if hasattr(data, "to_dict"):
            data = data.to_dict(flat=True)
        return {name: as_text(value) for name, value in data.items() if value is not None}


def as_text(value: Any) -> str:
    """Write a value of a JSON body as a parameter would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)


class ErrorText(Schema):
    """An error, in the original's words."""

    error = fields.String(required=True)
