"""Users and domains as JSON: what comes in and what goes out. Unknown fields are refused by name."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from services.auth import levels, models
from services.auth.people.rules import WEEK_S
from services.auth.schemas import ALWAYS, NAME, OR_NULL, TEXT, Listed, Page, moment, visible

KEY_LIFETIME = validate.Range(600, 31 * 24 * 3600, error="Between 10 minutes (600) and 1 month (2678400 seconds).")


class UserPage(Page):
    domain = fields.String(validate=[validate.Length(max=64), visible])
    level = fields.String(validate=validate.OneOf(levels.ALL))
    active = fields.Boolean()
    q = fields.String(validate=TEXT, metadata={"description": "Part of the e-mail or the full name."})


class OwnChange(Schema):
    email = fields.String()
    full_name = fields.String(validate=TEXT)


class UserChange(OwnChange):
    domain = fields.String(validate=NAME)
    level = fields.String(validate=validate.OneOf(levels.ALL))
    active = fields.Boolean(truthy={True}, falsy={False})
    layer_domains = fields.List(fields.String(validate=[validate.Length(1, 100), visible]), validate=validate.Length(max=200))


class NewUser(UserChange):
    email = fields.String(required=True)
    password = fields.String(required=True)


class NewDomain(Schema):
    name = fields.String(required=True, validate=NAME)
    login_key_lifetime_s = fields.Integer(strict=True, load_default=WEEK_S, validate=KEY_LIFETIME)


class DomainChange(Schema):
    login_key_lifetime_s = fields.Integer(strict=True, required=True, validate=KEY_LIFETIME)


class User(Schema):
    id = fields.String(**ALWAYS)
    email = fields.String(**ALWAYS)
    full_name = fields.String(**ALWAYS)
    domain = fields.String(**ALWAYS)
    level = fields.String(**ALWAYS, validate=validate.OneOf(levels.ALL))
    active = fields.Boolean(**ALWAYS)
    layer_domains = fields.List(fields.String(), **ALWAYS)
    created_at = fields.DateTime(**ALWAYS)
    last_login_at = fields.DateTime(**OR_NULL)


class Me(User):
    email = fields.String(metadata={"description": "Not for an application without the scope `email`."})


class UserList(Listed):
    items = fields.List(fields.Nested(User), **ALWAYS)


class Domain(Schema):
    name = fields.String(**ALWAYS)
    login_key_lifetime_s = fields.Integer(**ALWAYS)
    created_at = fields.DateTime(**ALWAYS)


class DomainList(Listed):
    items = fields.List(fields.Nested(Domain), **ALWAYS)


def user_shown(user: models.User | models.Person) -> dict[str, Any]:
    """Return a user as JSON."""
    return {
        "id": user.id,
        "email": user.email,
        "full_name": user.full_name,
        "domain": user.domain,
        "level": user.level,
        "active": user.active,
        "layer_domains": list(user.layer_domains),
        "created_at": moment(user.created_at),
        "last_login_at": moment(user.last_login_at),
    }


def domain(one: models.Domain) -> dict[str, Any]:
    """Return a domain as JSON."""
    return {"name": one.name, "login_key_lifetime_s": one.login_key_lifetime_s, "created_at": moment(one.created_at)}
