"""Sign-ins, login keys, access tokens and role tokens as JSON. Unknown fields are refused by name."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from services.auth import models
from services.auth.credentials.rules import policies
from services.auth.schemas import ALWAYS, EXPIRES_IN, LABEL, ONCE, OR_NULL, Listed, Moment, Page, moment
from services.auth.signing.rules import SUBJECTS


class Login(Schema):
    email = fields.String(required=True)
    password = fields.String(required=True)


class PasswordChange(Schema):
    current_password = fields.String(required=True)
    new_password = fields.String(required=True)


class NewPassword(Schema):
    new_password = fields.String(required=True)


class PolicyEntry(Schema):
    resource = fields.String(required=True)
    actions = fields.List(fields.String(), required=True)


class NewAccessToken(Schema):
    kind = fields.String(required=True, validate=validate.OneOf(policies.KINDS))
    label = fields.String(validate=LABEL)
    permission = fields.String(validate=validate.OneOf(policies.PERMISSIONS))
    policy = fields.List(fields.Nested(PolicyEntry))
    expires_in = fields.Integer(**EXPIRES_IN)


class SubjectPage(Page):
    subject = fields.String(validate=validate.OneOf(SUBJECTS))


class NewRoleToken(Schema):
    subject = fields.String(required=True, validate=validate.OneOf(SUBJECTS))
    label = fields.String(load_default="", validate=LABEL)
    expires_in = fields.Integer(**EXPIRES_IN)
    not_before = Moment(allow_none=True)


class CutOff(Schema):
    cut_off = Moment(required=True)


class SignInTokens(Schema):
    """RFC 6749 5.1."""

    access_token = fields.String(**ALWAYS)
    token_type = fields.String(**ALWAYS, validate=validate.Equal("Bearer"))
    expires_in = fields.Integer(**ALWAYS)
    refresh_token = fields.String()
    scope = fields.String()
    id_token = fields.String()


class LoginKey(Schema):
    created_at = fields.DateTime(**ALWAYS)
    expires_at = fields.DateTime(**ALWAYS)


class MadeLoginKey(Schema):
    key = fields.String(**ALWAYS, **ONCE)
    expires_at = fields.DateTime(**ALWAYS)


class PolicyRule(Schema):
    resource = fields.String(**ALWAYS)
    actions = fields.List(fields.String(), **ALWAYS)


class AccessToken(Schema):
    id = fields.String(**ALWAYS)
    kind = fields.String(**ALWAYS, validate=validate.OneOf(policies.KINDS))
    label = fields.String(**ALWAYS)
    permission = fields.String(**ALWAYS, validate=validate.OneOf(policies.PERMISSIONS))
    policy = fields.List(fields.Nested(PolicyRule), **ALWAYS)
    expires_at = fields.DateTime(**OR_NULL)
    last_used_at = fields.DateTime(**OR_NULL)
    created_at = fields.DateTime(**ALWAYS)
    secret = fields.String(**ONCE)


class AccessTokenList(Listed):
    items = fields.List(fields.Nested(AccessToken), **ALWAYS)


class RoleToken(Schema):
    jti = fields.String(**ALWAYS)
    subject = fields.String(**ALWAYS, validate=validate.OneOf(SUBJECTS))
    label = fields.String(**ALWAYS)
    not_before = fields.DateTime(**OR_NULL)
    expires_at = fields.DateTime(**OR_NULL)
    issued_at = fields.DateTime(**ALWAYS)
    token = fields.String(**ONCE)


class SubjectCutOff(Schema):
    subject = fields.String(**ALWAYS, validate=validate.OneOf(SUBJECTS))
    cut_off = fields.DateTime(**ALWAYS)


class RoleTokenList(Listed):
    items = fields.List(fields.Nested(RoleToken), **ALWAYS)
    cut_offs = fields.List(fields.Nested(SubjectCutOff), **ALWAYS)


def access_token(one: models.AccessToken, secret: str | None = None) -> dict[str, Any]:
    """Return an access token as JSON. secret: only in the answer that makes it."""
    shown = {
        "id": one.id,
        "kind": one.kind,
        "label": one.label,
        "permission": one.permission,
        "policy": list(one.policy),
        "expires_at": moment(one.expires_at),
        "last_used_at": moment(one.last_used_at),
        "created_at": moment(one.created_at),
    }
    return {**shown, "secret": secret} if secret else shown


def role_token(one: models.RoleToken, token: str | None = None) -> dict[str, Any]:
    """Return a role token as JSON. token: only in the answer that makes it."""
    shown = {
        "jti": one.jti,
        "subject": one.subject,
        "label": one.label,
        "not_before": moment(one.not_before),
        "expires_at": moment(one.expires_at),
        "issued_at": moment(one.issued_at),
    }
    return {**shown, "token": token} if token else shown


def cut_off(one: models.CutOff) -> dict[str, Any]:
    """Return a cut-off as JSON."""
    return {"subject": one.subject, "cut_off": moment(one.cut_off)}
