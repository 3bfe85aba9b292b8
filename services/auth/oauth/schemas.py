"""OAuth2 and OpenID Connect as JSON; clients. Unknown fields are refused by name."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from services.auth import models
from services.auth.oauth.rules.clients import GRANTS
from services.auth.schemas import ALWAYS, ONCE, Listed, moment, visible


class NewClient(Schema):
    name = fields.String(required=True, validate=[validate.Length(1, 100), visible])
    redirect_uris = fields.List(fields.String(), validate=validate.Length(max=20))
    grants = fields.List(fields.String(validate=validate.OneOf(GRANTS)), validate=validate.Length(max=len(GRANTS)))
    service = fields.Boolean(truthy={True}, falsy={False})
    public = fields.Boolean(
        truthy={True}, falsy={False}, metadata={"description": "It cannot keep a secret (a page, an app) and gets none; PKCE alone."}
    )


class Client(Schema):
    client_id = fields.String(**ALWAYS)
    name = fields.String(**ALWAYS)
    redirect_uris = fields.List(fields.String(), **ALWAYS)
    grants = fields.List(fields.String(validate=validate.OneOf(GRANTS)), **ALWAYS)
    service = fields.Boolean(**ALWAYS)
    public = fields.Boolean(**ALWAYS)
    created_at = fields.DateTime(**ALWAYS)
    client_secret = fields.String(**ONCE)


class ClientList(Listed):
    items = fields.List(fields.Nested(Client), **ALWAYS)


class OAuthError(Schema):
    """RFC 6749 5.2."""

    error = fields.String(**ALWAYS)
    error_description = fields.String()
    error_uri = fields.String()


class Introspection(Schema):
    """RFC 7662 2.2; of a token that is worth nothing only `active`."""

    active = fields.Boolean(**ALWAYS)
    iss = fields.String()
    sub = fields.String()
    aud = fields.String()
    jti = fields.String()
    exp = fields.Integer()
    username = fields.String()
    client_id = fields.String()
    scope = fields.String()
    token_type = fields.String()


class Discovery(Schema):
    """OpenID Connect Discovery 1.0, RFC 8414."""

    issuer = fields.String(**ALWAYS)
    authorization_endpoint = fields.String(**ALWAYS)
    token_endpoint = fields.String(**ALWAYS)
    revocation_endpoint = fields.String(**ALWAYS)
    introspection_endpoint = fields.String(**ALWAYS)
    jwks_uri = fields.String(**ALWAYS)
    scopes_supported = fields.List(fields.String(), **ALWAYS)
    response_types_supported = fields.List(fields.String(), **ALWAYS)
    response_modes_supported = fields.List(fields.String(), **ALWAYS)
    grant_types_supported = fields.List(fields.String(), **ALWAYS)
    subject_types_supported = fields.List(fields.String(), **ALWAYS)
    id_token_signing_alg_values_supported = fields.List(fields.String(), **ALWAYS)
    token_endpoint_auth_methods_supported = fields.List(fields.String(), **ALWAYS)
    revocation_endpoint_auth_methods_supported = fields.List(fields.String(), **ALWAYS)
    introspection_endpoint_auth_methods_supported = fields.List(fields.String(), **ALWAYS)
    code_challenge_methods_supported = fields.List(fields.String(), **ALWAYS)
    authorization_response_iss_parameter_supported = fields.Boolean(**ALWAYS)


def client(one: models.Client, secret: str | None = None) -> dict[str, Any]:
    """Return a client as JSON. secret: only in the answer that makes it."""
    shown = {
        "client_id": one.id,
        "name": one.name,
        "redirect_uris": list(one.redirect_uris),
        "grants": list(one.grants),
        "service": one.service,
        "public": one.secret_digest is None,
        "created_at": moment(one.created_at),
    }
    return {**shown, "client_secret": secret} if secret else shown
