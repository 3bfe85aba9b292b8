"""What actions take and give."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import ValidationError, fields, validate

from services.common.webhooks.outbox import STATES
from services.devices.actions.rules import conditions, webhooks
from services.devices.registry.rules.listing import LAST_PAGE
from services.devices.schemas import A_DATE, ALWAYS, OR_NULL, Body, Flag, Tag, envelope, given_tags, line, said, storable

MOST_CONDITIONS: Final = 20
_LONGEST_DESCRIPTION: Final = 10_000
_DATE_OR_NULL: Final = {**OR_NULL, **A_DATE}


class _Comparable(fields.Raw):
    """A text, a number or a boolean."""

    def _deserialize(self, value: Any, *given: Any, **options: Any) -> Any:
        if not isinstance(value, str | int | float):
            raise ValidationError("Must be a text, a number or a boolean.")
        if isinstance(value, str):
            validate.Length(max=conditions.LONGEST_VALUE)(value)
            storable(value)
        return value


class _Headers(fields.Dict):
    """Header fields by name; what they may be is the rules' business, also how many."""

    def __init__(self, **options: Any) -> None:
        super().__init__(keys=fields.String(), values=fields.String(validate=storable), **options)


def _not_served(value: Any) -> None:
    """Raise ValidationError for something that TagoIO would do and this service does not."""
    if value:
        raise ValidationError("Is not served.")


class Condition(Body):
    device = fields.String(allow_none=True, metadata={"description": "Id of the device; or name devices by a tag."})
    tag_key = fields.String(allow_none=True, validate=line(100))
    tag_value = fields.String(allow_none=True, validate=line(250))
    variable = fields.String(**ALWAYS, validate=line(100, 1))
    is_ = fields.String(
        data_key="is", attribute="is", **ALWAYS, validate=validate.OneOf(conditions.IS), metadata={"description": "`><` between, `*` any."}
    )
    value = _Comparable(allow_none=True, metadata={"type": ["string", "number", "boolean"]})
    second_value = _Comparable(allow_none=True, metadata={"type": ["string", "number", "boolean"], "description": "The upper end of `><`."})
    value_type = fields.String(
        allow_none=True,
        validate=validate.OneOf(conditions.TYPES),
        metadata={"description": "What values are compared as; `*` or none: as the type of `value`."},
    )
    unlock = Flag(metadata={"description": "Frees the action instead of firing it."})


class Call(Body):
    type = fields.String(**ALWAYS, validate=validate.OneOf(("post",)))
    url = fields.String(**ALWAYS, metadata={"description": f"http or https, {webhooks.LONGEST_URL} characters at most."})
    headers = _Headers(allow_none=True, metadata={"description": f"{webhooks.MOST_HEADERS} at most."})
    fallback_token = fields.Raw(allow_none=True, load_only=True, validate=_not_served)
    http_post_fallback_enabled = fields.Raw(allow_none=True, load_only=True, validate=_not_served)


class _ActionFields(Body):
    description = fields.String(allow_none=True, validate=[validate.Length(max=_LONGEST_DESCRIPTION), storable])
    active = Flag()
    tags = given_tags()
    lock = Flag()
    trigger_when_unlock = fields.Raw(allow_none=True, validate=_not_served)


class NewAction(_ActionFields):
    name = fields.String(**ALWAYS, validate=line(100, 3))
    type = fields.String(**ALWAYS, validate=validate.OneOf(("condition",)))
    trigger = fields.List(fields.Nested(Condition), **ALWAYS, validate=validate.Length(1, MOST_CONDITIONS))
    action = fields.Nested(Call, **ALWAYS)


class EditedAction(_ActionFields):
    name = fields.String(validate=line(100, 3))
    type = fields.String(validate=validate.OneOf(("condition",)))
    trigger = fields.List(fields.Nested(Condition), validate=validate.Length(1, MOST_CONDITIONS))
    action = fields.Nested(Call)


class CreatedAction(Body):
    action = fields.String(**ALWAYS, metadata={"description": "Its id."})
    secret = fields.String(**ALWAYS, metadata={"description": "Signs its calls; shown this once."})


class Secret(Body):
    secret = fields.String(**ALWAYS, metadata={"description": "Signs the calls from now on; shown this once."})


class ActionShown(Body):
    id = fields.String(**ALWAYS)
    name = fields.String(**ALWAYS)
    description = fields.String(**OR_NULL)
    active = fields.Boolean(**ALWAYS)
    type = fields.String(**ALWAYS)
    tags = fields.List(fields.Nested(Tag), **ALWAYS)
    trigger = fields.List(fields.Nested(Condition), **ALWAYS)
    action = fields.Nested(Call, **ALWAYS)
    lock = fields.Boolean(**ALWAYS, metadata={"description": "Whether it is locked for a device."})
    last_triggered = fields.String(**_DATE_OR_NULL)
    created_at = fields.String(**ALWAYS, **A_DATE)
    updated_at = fields.String(**ALWAYS, **A_DATE)


def _if_asked_for(name: str, field: fields.Field[Any]) -> fields.Field[Any]:
    field.required = name in ("id", "tags")
    return field


# in a list an action has only the fields that were asked for
ListedAction = Body.from_dict({name: _if_asked_for(name, field) for name, field in ActionShown().fields.items()}, name="ListedAction")


class DeliveryQuery(Body):
    state = fields.String(validate=validate.OneOf(STATES))
    page = fields.Integer(load_default=1, validate=validate.Range(1, LAST_PAGE))
    amount = fields.Integer(load_default=20, validate=validate.Range(1, 1000))


class Delivery(Body):
    id = fields.String(**ALWAYS, metadata={"description": "The `webhook-id` of the call, the same at every attempt."})
    device = fields.String(**ALWAYS)
    url = fields.String(**ALWAYS, metadata={"description": "Without its query."})
    state = fields.String(**ALWAYS, validate=validate.OneOf(STATES))
    attempts = fields.Integer(**ALWAYS)
    created_at = fields.String(**ALWAYS, **A_DATE)
    next_at = fields.String(**_DATE_OR_NULL)
    ended_at = fields.String(**_DATE_OR_NULL)
    last_status = fields.Integer(**OR_NULL)
    last_error = fields.String(**OR_NULL)


CreatedAnswer = envelope("CreatedActionAnswer", fields.Nested(CreatedAction))
SecretAnswer = envelope("SecretAnswer", fields.Nested(Secret))
ActionAnswer = envelope("ActionAnswer", fields.Nested(ActionShown))
ActionsAnswer = envelope("ActionsAnswer", fields.List(fields.Nested(ListedAction)))
DeliveriesAnswer = envelope("DeliveriesAnswer", fields.List(fields.Nested(Delivery)))
Edited = said("ActionEditedAnswer", "Successfully Updated")
Removed = said("ActionRemovedAnswer", "Successfully Removed")
Scheduled = said("DeliveryScheduledAnswer", "Delivery Scheduled")
