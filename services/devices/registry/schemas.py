"""What the registry takes and gives: devices, tokens, parameters."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import ValidationError, fields, validate, validates_schema

from services.devices.data.rules.chunks import MOST_RETAINED, PERIODS
from services.devices.schemas import ALWAYS, OR_NULL, Body, Flag, Tag, envelope, line, storable

MOST_TAGS: Final = 30
_LONGEST_TEXT: Final = 100_000
_A_DATE: Final[dict[str, Any]] = {"metadata": {"format": "date-time"}}


class Param(Body):
    id = fields.String(allow_none=True)
    key = fields.String(**ALWAYS, validate=line(100, 1))
    value = fields.String(**ALWAYS, validate=[validate.Length(max=6000), storable])
    sent = Flag()


class _DeviceFields(Body):
    description = fields.String(allow_none=True, validate=[validate.Length(max=_LONGEST_TEXT), storable])
    network = fields.String(allow_none=True, validate=line(64))
    connector = fields.String(allow_none=True, validate=line(64))
    chunk_period = fields.String(allow_none=True, validate=validate.OneOf(PERIODS))
    chunk_retention = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, MOST_RETAINED))
    tags = fields.List(fields.Nested(Tag), validate=validate.Length(max=MOST_TAGS))
    active = Flag()
    visible = Flag()
    payload_decoder = fields.String(allow_none=True, validate=[validate.Length(max=_LONGEST_TEXT), storable])
    configuration_params = fields.List(fields.Nested(Param))


class NewDevice(_DeviceFields):
    name = fields.String(**ALWAYS, validate=line(100, 3))
    type = fields.String(**ALWAYS, validate=validate.OneOf(("mutable", "immutable")))
    serie_number = fields.String(allow_none=True, validate=line(100, 1))

    @validates_schema
    def chunks(self, data: dict[str, Any], **_: Any) -> None:
        """An immutable device says how its data is divided and how long it is kept."""
        if data["type"] == "immutable":
            missing = [name for name in ("chunk_period", "chunk_retention") if data.get(name) is None]
            if missing:
                raise ValidationError({name: ["Missing data for required field."] for name in missing})


class Created(Body):
    device_id = fields.String(**ALWAYS)
    bucket_id = fields.String(**ALWAYS, metadata={"description": "The same: a device has its data itself."})
    token = fields.String(**ALWAYS, metadata={"description": "Shown this once."})


class Bucket(Body):
    id = fields.String(**ALWAYS)
    name = fields.String(**ALWAYS)


class Device(Body):
    id = fields.String(**ALWAYS)
    profile = fields.String(**ALWAYS, metadata={"description": "The account."})
    name = fields.String(**ALWAYS)
    description = fields.String(**OR_NULL)
    type = fields.String(**ALWAYS, validate=validate.OneOf(("mutable", "immutable")))
    active = fields.Boolean(**ALWAYS)
    visible = fields.Boolean(**ALWAYS)
    network = fields.String(**OR_NULL)
    connector = fields.String(**OR_NULL)
    payload_decoder = fields.String(**OR_NULL)
    chunk_period = fields.String(**OR_NULL)
    chunk_retention = fields.Integer(**OR_NULL)
    tags = fields.List(fields.Nested(Tag), **ALWAYS)
    bucket = fields.Nested(Bucket, **ALWAYS)
    last_input = fields.String(**OR_NULL, **_A_DATE)
    created_at = fields.String(**ALWAYS, **_A_DATE)
    updated_at = fields.String(**ALWAYS, **_A_DATE)


CreatedAnswer = envelope("CreatedAnswer", fields.Nested(Created))
DeviceAnswer = envelope("DeviceAnswer", fields.Nested(Device))
