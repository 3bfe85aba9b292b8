"""What goes in and out as JSON. Unknown fields are refused by name."""

from __future__ import annotations

import datetime as dt
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from services.auth import levels
from services.auth.credentials.rules import policies
from services.auth.oauth.service.clients import GRANTS
from services.auth.people.rules import WEEK_S
from services.auth.signing.rules import ALGORITHMS, SUBJECTS

MAX_SECONDS = 100 * 366 * 24 * 3600
NAME = validate.And(validate.Length(1, 64), validate.Regexp(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z", error="Letters, digits and . _ - only."))
KEY_LIFETIME = validate.Range(600, 31 * 24 * 3600, error="Between 10 minutes (600) and 1 month (2678400 seconds).")


def _visible(text: str) -> None:
    if any(ord(one) < 32 or ord(one) == 127 or 0xD800 <= ord(one) <= 0xDFFF for one in text):
        raise ValidationError("Holds a character that cannot be shown.")


TEXT = [validate.Length(max=200), _visible]
LABEL = [validate.Length(max=100), _visible]
EXPIRES_IN = {"strict": True, "allow_none": True, "validate": validate.Range(1, MAX_SECONDS)}


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


class UserPage(Page):
    domain = fields.String(validate=[validate.Length(max=64), _visible])
    level = fields.String(validate=validate.OneOf(levels.ALL))
    active = fields.Boolean()
    q = fields.String(validate=TEXT, metadata={"description": "Part of the e-mail or the full name."})


class AuditPage(Page):
    action = fields.String(validate=TEXT)
    actor_id = fields.String(validate=TEXT)
    target = fields.String(validate=[validate.Length(max=254), _visible])
    since = Moment()
    until = Moment()


class SubjectPage(Page):
    subject = fields.String(validate=validate.OneOf(SUBJECTS))


class Login(Schema):
    email = fields.String(required=True)
    password = fields.String(required=True)


class Basic(Schema):
    username = fields.String(required=True)
    password = fields.String(required=True)
    address = fields.IP(
        validate=lambda address: _visible(str(address)), metadata={"description": "Of the client; failures are then counted for it, too."}
    )


class TokenToVerify(Schema):
    token = fields.String(required=True)


class PasswordChange(Schema):
    current_password = fields.String(required=True)
    new_password = fields.String(required=True)


class NewPassword(Schema):
    new_password = fields.String(required=True)


class OwnChange(Schema):
    email = fields.String()
    full_name = fields.String(validate=TEXT)


class UserChange(OwnChange):
    domain = fields.String(validate=NAME)
    level = fields.String(validate=validate.OneOf(levels.ALL))
    active = fields.Boolean(truthy={True}, falsy={False})
    layer_domains = fields.List(fields.String(validate=[validate.Length(1, 100), _visible]), validate=validate.Length(max=200))


class NewUser(UserChange):
    email = fields.String(required=True)
    password = fields.String(required=True)


class PolicyEntry(Schema):
    resource = fields.String(required=True)
    actions = fields.List(fields.String(), required=True)


class NewAccessToken(Schema):
    kind = fields.String(required=True, validate=validate.OneOf(policies.KINDS))
    label = fields.String(validate=LABEL)
    permission = fields.String(validate=validate.OneOf(policies.PERMISSIONS))
    policy = fields.List(fields.Nested(PolicyEntry))
    expires_in = fields.Integer(**EXPIRES_IN)


class NewDomain(Schema):
    name = fields.String(required=True, validate=NAME)
    login_key_lifetime_s = fields.Integer(strict=True, load_default=WEEK_S, validate=KEY_LIFETIME)


class DomainChange(Schema):
    login_key_lifetime_s = fields.Integer(strict=True, required=True, validate=KEY_LIFETIME)


class NewRoleToken(Schema):
    subject = fields.String(required=True, validate=validate.OneOf(SUBJECTS))
    label = fields.String(load_default="", validate=LABEL)
    expires_in = fields.Integer(**EXPIRES_IN)
    not_before = Moment(allow_none=True)


class CutOff(Schema):
    cut_off = Moment(required=True)


class NewClient(Schema):
    name = fields.String(required=True, validate=[validate.Length(1, 100), _visible])
    redirect_uris = fields.List(fields.String(), validate=validate.Length(max=20))
    grants = fields.List(fields.String(validate=validate.OneOf(GRANTS)), validate=validate.Length(max=len(GRANTS)))
    service = fields.Boolean(truthy={True}, falsy={False})
    public = fields.Boolean(
        truthy={True}, falsy={False}, metadata={"description": "It cannot keep a secret (a page, an app) and gets none; PKCE alone."}
    )


class Rotation(Schema):
    algorithm = fields.String(load_default="EdDSA", validate=validate.OneOf(ALGORITHMS))
