"""What the OpenAPI document says of data. The routes read and write it by hand, because there are thousands of records in a request."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import fields, validate

from services.devices.data.rules import aggregates, queries
from services.devices.data.rules import fields as limits
from services.devices.schemas import ALWAYS, Body, envelope, said

_DATE: Final[dict[str, Any]] = {"metadata": {"format": "date-time"}}


class Point(Body):
    type = fields.String(**ALWAYS, validate=validate.OneOf(("Point",)))
    coordinates = fields.List(fields.Float(), **ALWAYS, metadata={"description": "Longitude, latitude."})


class DataRecord(Body):
    id = fields.String(metadata={"description": "24 hexadecimal digits; missing in the values of an aggregate."})
    device = fields.String()
    variable = fields.String()
    value = fields.Raw(metadata={"description": "Text, number or boolean."})
    unit = fields.String()
    group = fields.String()
    time = fields.String(**ALWAYS, **_DATE)
    location = fields.Nested(Point)
    metadata = fields.Raw(metadata={"description": "An object or a list."})
    created_at = fields.String(**_DATE)


_RESULT: Final = {"oneOf": [{"type": "array", "items": {"$ref": "#/components/schemas/DataRecord"}}, {"type": "number"}]}

DataAnswer = envelope("DataAnswer", fields.Raw(metadata=_RESULT))
AddedAnswer = said("AddedAnswer", "2 Data Added")
EditedAnswer = said("EditedAnswer", "1 item(s) updated")
RemovedAnswer = said("RemovedAnswer", "3 Data Removed")


def _parameter(name: str, description: str, schema: dict[str, Any], *, place: str = "query") -> dict[str, Any]:
    return {"in": place, "name": name, "required": False, "description": description, "schema": schema}


def _texts(name: str, description: str) -> dict[str, Any]:
    return _parameter(name, description, {"type": "array", "items": {"type": "string"}})


_TEXT: Final = {"type": "string"}

FILTERS: Final = [
    _texts("variables", f"Names of variables; at most {queries.MOST_VARIABLES}. Also `variables[0]=a`, `variable=a`."),
    _texts("groups", "Groups; also `series`."),
    _texts("values", "Values: `27` is the number and the text."),
    _texts("ids", "Ids of records; not with an immutable device."),
    _parameter("start_date", "The earliest `time`: ISO 8601, a Unix number, or `1 day`, counted back from now.", _TEXT),
    _parameter("end_date", "The latest `time`; `1 day` is counted forward.", _TEXT),
    _parameter("qty", "Records; of each variable when variables are named.", {"type": "integer", "minimum": 0, "maximum": queries.MOST}),
    _parameter("skip", "Records that are left out first.", {"type": "integer", "minimum": 0}),
    _parameter("ordination", "By time.", {"enum": ["ascending", "descending", "asc", "desc"]}),
    _parameter("query", "What is asked for; the list when it is left out.", {"enum": list(queries.KINDS)}),
    _parameter(
        "function", f"Of an aggregate: {', '.join(aggregates.FUNCTIONS)}; of `conditional`: {', '.join(queries.COMPARISONS)}.", _TEXT
    ),
    _parameter("value", "Of `conditional`: the number that values are compared with.", {"type": "number"}),
]
READING: Final = [
    *FILTERS,
    _parameter("interval", "Of an aggregate.", {"enum": list(aggregates.INTERVALS)}),
    _parameter("details", "With `created_at`.", {"type": "boolean"}),
    _parameter("cursor", "`X-Next-Cursor` of the page before.", _TEXT),
]
NEXT: Final = {
    "X-Next-Cursor": {"description": "Where a list goes on, if it does; goes into `cursor`.", "schema": _TEXT},
    "Link": {"description": 'The next page: `<?…>; rel="next"`.', "schema": _TEXT},
}
KEY: Final = [
    _parameter("Idempotency-Key", "A repetition with the same key and body within a day is answered and not stored.", _TEXT, place="header")
]
LAST_EVENT: Final = [_parameter("Last-Event-ID", "The `id` of the last event that was seen.", _TEXT, place="header")]

_RECORD: Final = {
    "type": "object",
    "required": ["variable"],
    "properties": {
        "variable": {"type": "string", "maxLength": limits.VARIABLE_LENGTH, "pattern": r"^[^ *?!<>.\-=$\x00-\x1f\x7f]+$"},
        "value": {"type": ["string", "number", "boolean", "null"]},
        "unit": {"type": ["string", "null"], "maxLength": limits.UNIT_LENGTH},
        "time": {"type": ["string", "number", "null"]},
        "group": {"type": ["string", "null"], "maxLength": limits.GROUP_LENGTH},
        "location": {"type": ["object", "null"]},
        "metadata": {"type": ["object", "array", "null"]},
    },
}
_CHANGE: Final = {"type": "object", "required": ["id"], "properties": {"id": _TEXT, **{
    name: schema for name, schema in _RECORD["properties"].items() if name != "variable"  # type: ignore[attr-defined]
}}}  # fmt: skip


def _body(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "required": True,
        "content": {"application/json": {"schema": {"oneOf": [item, {"type": "array", "items": item, "minItems": 1}]}}},
    }


RECORDS: Final = _body(_RECORD)
CHANGES: Final = _body(_CHANGE)
