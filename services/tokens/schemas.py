"""What goes in and out, for the OpenAPI document and for the answers. Query parameters arrive as texts; the service says what they mean."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, pre_load


def _text(description: str) -> fields.String:
    return fields.String(metadata={"description": description})


class Query(Schema):
    """Unknown parameters are passed over; of a repeated one the first counts."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def first(self, data: Any, **_: Any) -> dict[str, Any]:
        """Texts only: a JSON body may hold numbers and lists of texts."""
        if hasattr(data, "to_dict"):
            data = data.to_dict(flat=True)
        return {name: as_text(value) for name, value in data.items() if value is not None}


def as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)


class TokenQuery(Query):
    id = _text("The token id, in any case.")


class ImageQuery(TokenQuery):
    download = _text("Present, even empty: answer as an attachment.")


class PngQuery(ImageQuery):
    width = _text("Pixels: 256, 512, 1024 or 2048 (default).")


class PageQuery(Query):
    offset = _text("Position of the first row; negative ones count from the end. Wins over start_id and end_id.")
    start_id = _text("Begin with this token. Wins over end_id.")
    end_id = _text("End with this token.")
    count = _text("Rows, 1 to 250 (default 1).")
    newest_first = _text("true (default) or false.")


class ConfirmQuery(Query):
    confirm = _text("The word all.")


class DepositQuery(Query):
    id = _text("The interaction id.")
    keywords = _text("Three keywords, separated by one of . , ; /")


class FeedQuery(Query):
    since = _text("The last seq seen; 0 or left out: from the beginning; now: only what comes.")
    timeout = _text("Milliseconds to wait, 0 to 60000 (default).")


class UpdatesQuery(FeedQuery):
    id = _text("The interaction id.")


class LeaveQuery(Query):
    id = _text("The interaction id.")


class WaitingQuery(Query):
    since = _text("Only interactions deposited at or after this date; 0 or left out: all.")


class UpdateQuery(Query):
    id = _text("The interaction id.")
    queue_position = _text("Whole number from 0; may be left out when token_id is given.")
    token_id = _text("The finished token; sets the position to 0.")


class Information(Schema):
    name = fields.String(required=True)
    description = fields.String(required=True)
    version = fields.String(required=True)
    git_sha = fields.String(required=True)


class Token(Schema):
    id = fields.String(required=True)
    svg = fields.String(required=True)
    generated = fields.String(required=True, metadata={"description": "ISO 8601, as the generator gave it."})
    keywords = fields.List(fields.String(), required=True)


class NewToken(Schema):
    svg = fields.String(required=True)
    generated = fields.String(required=True, metadata={"format": "date-time"})
    keywords = fields.List(fields.String(), required=True, metadata={"minItems": 3, "maxItems": 3})


class TokenId(Schema):
    id = fields.String(required=True)


class Page(Schema):
    rows = fields.List(fields.Nested(Token), required=True)
    total_rows = fields.Integer(required=True)
    offset = fields.Integer(required=True)
    next = fields.String(required=True, allow_none=True)
    prev = fields.String(required=True, allow_none=True)
    newest_first = fields.Boolean(required=True)


class Requested(Schema):
    id = fields.String(required=True)
    color = fields.String(required=True)
    requested_at = fields.String(required=True, metadata={"format": "date-time"})


class Deposited(Requested):
    keywords = fields.List(fields.String(), required=True)
    deposited_at = fields.String(required=True, metadata={"format": "date-time"})


class NewInteraction(Deposited):
    seq = fields.String(required=True, metadata={"description": "Opaque; give it as since to the next request."})


class Update(Schema):
    id = fields.String(required=True)
    seq = fields.String(required=True, metadata={"description": "Opaque; give it as since to the next request."})
    queue_position = fields.Integer(required=True)
    token_id = fields.String(required=True, allow_none=True)


class Pace(Schema):
    seconds_per_turn = fields.Float(
        required=True, allow_none=True, metadata={"description": "Median of the last turns; null when there were too few to say."}
    )
    turns = fields.Integer(required=True, metadata={"description": "How many turns that is."})


class ErrorText(Schema):
    error = fields.String(required=True)
