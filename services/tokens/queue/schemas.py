"""What the queue takes and gives: parameters and bodies."""

from __future__ import annotations

from marshmallow import Schema, fields

from services.tokens.schemas import Query, text


class DepositQuery(Query):
    id = text("The interaction id.")
    keywords = text("Three keywords, separated by one of . , ; /")


class FeedQuery(Query):
    since = text("The last seq seen; 0 or left out: from the beginning; now: only what comes.")
    timeout = text("Milliseconds to wait, 0 to 60000 (default).")


class UpdatesQuery(FeedQuery):
    id = text("The interaction id.")


class LeaveQuery(Query):
    id = text("The interaction id.")


class WaitingQuery(Query):
    since = text("Only interactions deposited at or after this date; 0 or left out: all.")


class UpdateQuery(Query):
    id = text("The interaction id.")
    queue_position = text("Whole number from 0; may be left out when token_id is given.")
    token_id = text("The finished token; sets the position to 0.")


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
