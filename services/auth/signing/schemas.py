"""Signing keys as JSON."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from services.auth import models
from services.auth.schemas import ALWAYS, OR_NULL, Listed, moment
from services.auth.signing.rules import ALGORITHMS


class Rotation(Schema):
    algorithm = fields.String(load_default="EdDSA", validate=validate.OneOf(ALGORITHMS))


class SigningKey(Schema):
    kid = fields.String(**ALWAYS)
    algorithm = fields.String(**ALWAYS, validate=validate.OneOf(ALGORITHMS))
    created_at = fields.DateTime(**ALWAYS)
    retired_at = fields.DateTime(**OR_NULL)
    current = fields.Boolean(**ALWAYS)
    published = fields.Boolean(**ALWAYS)


class SigningKeyList(Listed):
    items = fields.List(fields.Nested(SigningKey), **ALWAYS)


class PublicKey(Schema):
    """RFC 7517, 8037."""

    kty = fields.String(**ALWAYS)
    kid = fields.String(**ALWAYS)
    use = fields.String(**ALWAYS)
    alg = fields.String(**ALWAYS, validate=validate.OneOf(ALGORITHMS))
    crv = fields.String()
    x = fields.String()
    n = fields.String()
    e = fields.String()


class PublicKeys(Schema):
    keys = fields.List(fields.Nested(PublicKey), **ALWAYS)


def signing_key(one: models.SigningKey, published: bool) -> dict[str, Any]:
    """Return a signing key as JSON, without its private half."""
    return {
        "kid": one.kid,
        "algorithm": one.algorithm,
        "created_at": moment(one.created_at),
        "retired_at": moment(one.retired_at),
        "current": bool(one.current),
        "published": published,
    }
