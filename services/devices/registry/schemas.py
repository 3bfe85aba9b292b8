"""What the registry takes and gives: devices, tokens, parameters."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import ValidationError, fields, validate, validates_schema

from services.devices.data.rules.chunks import MOST_RETAINED, PERIODS
from services.devices.registry.rules.tokens import PERMISSIONS
from services.devices.schemas import A_DATE, ALWAYS, OR_NULL, Body, Flag, QueryFlag, Tag, envelope, given_tags, line, said, storable

TYPES: Final = ("mutable", "immutable")
LONGEST_VALUE: Final = 6000  # of a parameter, in characters
_LONGEST_TEXT: Final = 100_000


class NewParam(Body):
    """A parameter that is created or changed."""

    id = fields.String(allow_none=True, metadata={"description": "Of the one to change; without it the key says which."})
    key = fields.String(**ALWAYS, validate=line(100, 1))
    value = fields.String(**ALWAYS, validate=[validate.Length(max=LONGEST_VALUE), storable])
    sent = Flag(metadata={"description": "Whether the device has read it. Left out: not, when the value changes."})
    version = fields.Integer(
        strict=True, validate=validate.Range(1, 2**31 - 1), metadata={"description": "Change it only if this is its version."}
    )


class _Chunks(Body):
    """How the data of an immutable device is divided, and how many chunks are kept."""

    chunk_period = fields.String(allow_none=True, validate=validate.OneOf(PERIODS))
    chunk_retention = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, MOST_RETAINED))


class _DeviceFields(_Chunks):
    description = fields.String(allow_none=True, validate=[validate.Length(max=_LONGEST_TEXT), storable])
    network = fields.String(allow_none=True, validate=line(64))
    connector = fields.String(allow_none=True, validate=line(64))
    tags = given_tags()
    active = Flag()
    visible = Flag()
    payload_decoder = fields.String(allow_none=True, validate=[validate.Length(max=_LONGEST_TEXT), storable])
    configuration_params = fields.List(fields.Nested(NewParam))


def _require_chunks(data: dict[str, Any]) -> None:
    """An immutable device says how its data is divided and how long it is kept. Raises ValidationError."""
    if data["type"] == "immutable":
        missing = [name for name in ("chunk_period", "chunk_retention") if data.get(name) is None]
        if missing:
            raise ValidationError({name: ["Missing data for required field."] for name in missing})


class NewDevice(_DeviceFields):
    name = fields.String(**ALWAYS, validate=line(100, 3))
    type = fields.String(**ALWAYS, validate=validate.OneOf(TYPES))
    serie_number = fields.String(allow_none=True, validate=line(100, 1))

    @validates_schema
    def chunks(self, data: dict[str, Any], **_: Any) -> None:
        _require_chunks(data)


class DeviceChange(_DeviceFields):
    name = fields.String(validate=line(100, 3))
    type = fields.String(allow_none=True)


class Conversion(_Chunks):
    type = fields.String(**ALWAYS, validate=validate.OneOf(TYPES))

    @validates_schema
    def chunks(self, data: dict[str, Any], **_: Any) -> None:
        _require_chunks(data)


class NewToken(Body):
    device = fields.String(**ALWAYS)
    name = fields.String(**ALWAYS, validate=line(100, 1))
    permission = fields.String(allow_none=True, validate=validate.OneOf(PERMISSIONS))
    expire_time = fields.String(
        allow_none=True, validate=line(64), metadata={"description": "never, 3 hours, 1 month (when it is left out) or an ISO date."}
    )
    serie_number = fields.String(allow_none=True, validate=line(100))
    verification_code = fields.String(allow_none=True, validate=line(100))


class SentStatus(Body):
    sent_status = QueryFlag(metadata={"description": "Only those that the device has read (true), or has not (false)."})


class Mark(Body):
    sent = Flag(load_default=True)
    version = fields.Integer(
        strict=True, validate=validate.Range(1, 2**31 - 1), metadata={"description": "The version that the device has read."}
    )


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
    type = fields.String(**ALWAYS, validate=validate.OneOf(TYPES))
    active = fields.Boolean(**ALWAYS)
    visible = fields.Boolean(**ALWAYS)
    network = fields.String(**OR_NULL)
    connector = fields.String(**OR_NULL)
    payload_decoder = fields.String(**OR_NULL)
    chunk_period = fields.String(**OR_NULL)
    chunk_retention = fields.Integer(**OR_NULL)
    tags = fields.List(fields.Nested(Tag), **ALWAYS)
    bucket = fields.Nested(Bucket, **ALWAYS)
    last_input = fields.String(**OR_NULL, **A_DATE)
    created_at = fields.String(**ALWAYS, **A_DATE)
    updated_at = fields.String(**ALWAYS, **A_DATE)


class ListedDevice(Device):
    """The fields that are asked for; `id` always."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, partial=True)


class Param(Body):
    id = fields.String(**ALWAYS)
    key = fields.String(**ALWAYS)
    value = fields.String(**ALWAYS)
    sent = fields.Boolean(**ALWAYS)
    version = fields.Integer(**ALWAYS)
    created_at = fields.String(**ALWAYS, **A_DATE)
    updated_at = fields.String(**ALWAYS, **A_DATE)


class MadeToken(Body):
    id = fields.String(**ALWAYS)
    token = fields.String(**ALWAYS, metadata={"description": "Shown this once."})
    permission = fields.String(**ALWAYS)
    expire_time = fields.String(**ALWAYS, metadata={"description": "A date, or never."})
    expire_date = fields.String(**ALWAYS, metadata={"description": "The same, by the name that the official libraries read."})


class ListedToken(Body):
    """The fields that are asked for; `id` always."""

    id = fields.String(**ALWAYS)
    token = fields.String(metadata={"description": "Its id in the place of the token, which nobody can read again."})
    last_four = fields.String(metadata={"description": "Of the token."})
    name = fields.String()
    permission = fields.String()
    serie_number = fields.String(allow_none=True)
    last_authorization = fields.String(allow_none=True, **A_DATE)
    created_at = fields.String(**A_DATE)
    expire_time = fields.String(metadata={"description": "A date, or never."})
    device_id = fields.String()


class Chunk(Body):
    id = fields.String(**ALWAYS, metadata={"example": "1657497600_1658102399"})
    from_ = fields.String(**ALWAYS, data_key="from", **A_DATE)
    to = fields.String(**ALWAYS, **A_DATE)
    from_date = fields.String(**ALWAYS, **A_DATE)
    to_date = fields.String(**ALWAYS, **A_DATE)
    amount = fields.Integer(**ALWAYS)


CreatedAnswer = envelope("CreatedAnswer", fields.Nested(Created))
DeviceAnswer = envelope("DeviceAnswer", fields.Nested(Device))
DeviceList = envelope("DeviceList", fields.List(fields.Nested(lambda: ListedDevice())))
DeviceChanged = said("DeviceChanged", "Successfully Updated")
Removed = said("Removed", "Successfully Removed")
Amount = envelope("Amount", fields.Integer())
Emptied = said("Emptied", "Data Successfully Removed")
Converted = said("Converted", "Device type/chunk was converted")
ChunkList = envelope("ChunkList", fields.List(fields.Nested(Chunk)))
ChunkRemoved = said("ChunkRemoved", "Chunk 1657497600_1658102399 deleted")
TokenAnswer = envelope("TokenAnswer", fields.Nested(MadeToken))
TokenList = envelope("TokenList", fields.List(fields.Nested(ListedToken)))
TokenRemoved = said("TokenRemoved", "Token Successfully Removed")
ParamAnswer = envelope("ParamAnswer", fields.Nested(Param))
ParamList = envelope("ParamList", fields.List(fields.Nested(Param)))
ParamsUpdated = said("ParamsUpdated", "Params Successfully Updated")
Resolved = envelope("Resolved", fields.String(metadata={"description": "The token of the device."}))
