"""The questions of neighbours and the answers as JSON."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from services.auth.access import Verified
from services.auth.credentials.rules import passwords, policies
from services.auth.credentials.schemas import PolicyRule
from services.auth.models import Person
from services.auth.people.schemas import User, user_shown
from services.auth.schemas import ALWAYS, OR_NULL, moment, visible


class Basic(Schema):
    username = fields.String(required=True)
    password = fields.String(required=True)
    address = fields.IP(
        validate=lambda address: visible(str(address)), metadata={"description": "Of the client; failures are then counted for it, too."}
    )


class TokenToVerify(Schema):
    token = fields.String(required=True)


class UserToVerify(Schema):
    id = fields.String(required=True)


class KnownUser(User):
    password_stamp = fields.String(**ALWAYS, metadata={"description": "Changes when the password does; says nothing of it."})


class VerifiedUser(KnownUser):
    credential = fields.String(**ALWAYS, validate=validate.OneOf(("password", "login_key")))
    expires_at = fields.DateTime(**OR_NULL)


class VerifiedToken(Schema):
    kind = fields.String(**ALWAYS, validate=validate.OneOf((*policies.KINDS, "user", "role", "client")))
    id = fields.String(**ALWAYS)
    subject = fields.String(**ALWAYS)
    label = fields.String(**OR_NULL)
    user = fields.Nested(User, **OR_NULL)
    permission = fields.String(**ALWAYS, validate=validate.OneOf(policies.PERMISSIONS))
    policy = fields.List(fields.Nested(PolicyRule), **ALWAYS)
    scope = fields.String(**OR_NULL)
    client_id = fields.String(**OR_NULL)
    expires_at = fields.DateTime(**OR_NULL)


def known_user(person: Person) -> dict[str, Any]:
    """Return a user as neighbours see one."""
    return {**user_shown(person), "password_stamp": passwords.stamp(person.password_hash)}


def verified_token(one: Verified) -> dict[str, Any]:
    """Return what a token is worth as JSON."""
    return {
        "kind": one.kind,
        "id": one.id,
        "subject": one.subject,
        "label": one.label,
        "user": user_shown(one.user) if one.user else None,
        "permission": one.permission,
        "policy": one.policy,
        "scope": one.scope,
        "client_id": one.client_id,
        "expires_at": moment(one.expires_at),
    }
