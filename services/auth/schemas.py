"""What the schemas of all nouns share: errors, pages of lists, texts, moments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from services.common.clock import isoformat

ALWAYS: dict[str, Any] = {"required": True}
OR_NULL: dict[str, Any] = {"required": True, "allow_none": True}
ONCE: dict[str, Any] = {"metadata": {"description": "Only in the answer that makes it."}}
REFUSED = {"$ref": "#/components/schemas/Error"}  # its content is ErrorBody
MAX_SECONDS = 100 * 366 * 24 * 3600
EXPIRES_IN: dict[str, Any] = {"strict": True, "allow_none": True, "validate": validate.Range(1, MAX_SECONDS)}


def visible(text: str) -> None:
    """Raise ValidationError for control characters and halves of a character."""
    if any(ord(one) < 32 or ord(one) == 127 or 0xD800 <= ord(one) <= 0xDFFF for one in text):
        raise ValidationError("Holds a character that cannot be shown.")


def moment(value: dt.datetime | None) -> str | None:
    """Return a moment in ISO 8601, None for none."""
    return isoformat(value) if value else None


NAME = validate.And(validate.Length(1, 64), validate.Regexp(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z", error="Letters, digits and . _ - only."))
TEXT: list[Callable[[Any], Any]] = [validate.Length(max=200), visible]
LABEL: list[Callable[[Any], Any]] = [validate.Length(max=100), visible]


class Moment(fields.AwareDateTime):
    """ISO 8601; without a zone it is UTC. Read as UTC."""

    def __init__(self, **options: Any) -> None:
        super().__init__("iso", default_timezone=dt.UTC, **options)

    def _deserialize(self, value: Any, *given: Any, **options: Any) -> dt.datetime:
        try:
            return super()._deserialize(value, *given, **options).astimezone(dt.UTC)
        except OverflowError:  # in UTC it is before the year 1 or after 9999
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from None


class Page(Schema):
    page = fields.Integer(load_default=1, validate=validate.Range(1, 1_000_000))
    per_page = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class Listed(Schema):
    total = fields.Integer(**ALWAYS)
    page = fields.Integer(**ALWAYS)
    per_page = fields.Integer(**ALWAYS)


class ErrorBody(Schema):
    error = fields.String(**ALWAYS)
    code = fields.String(**ALWAYS, metadata={"description": "Stable; texts may change."})
    request_id = fields.String(**OR_NULL)
    fields_ = fields.Dict(keys=fields.String(), data_key="fields", metadata={"description": "What is wrong, by field."})


class Nothing(Schema):
    """An empty object."""
