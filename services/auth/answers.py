"""How the answers look, for the OpenAPI document; `api/shapes.py` makes them. A contract test holds the two together."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from services.auth import levels
from services.auth.credentials.rules import policies
from services.auth.oauth.service.clients import GRANTS
from services.auth.signing.rules import ALGORITHMS, SUBJECTS

ALWAYS = {"required": True}
OR_NULL = {"required": True, "allow_none": True}
REFUSED = {"$ref": "#/components/schemas/Error"}  # its content is ErrorBody
ONCE = {"metadata": {"description": "Only in the answer that makes it."}}


class ErrorBody(Schema):
    error = fields.String(**ALWAYS)
    code = fields.String(**ALWAYS, metadata={"description": "Stable; texts may change."})
    request_id = fields.String(**OR_NULL)
    fields_ = fields.Dict(keys=fields.String(), data_key="fields", metadata={"description": "What is wrong, by field."})


class OAuthError(Schema):
    """RFC 6749 5.2."""

    error = fields.String(**ALWAYS)
    error_description = fields.String()
    error_uri = fields.String()


class Nothing(Schema):
    """An empty object."""


class SignInTokens(Schema):
    """RFC 6749 5.1."""

    access_token = fields.String(**ALWAYS)
    token_type = fields.String(**ALWAYS, validate=validate.Equal("Bearer"))
    expires_in = fields.Integer(**ALWAYS)
    refresh_token = fields.String()
    scope = fields.String()
    id_token = fields.String()


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


class VerifiedUser(User):
    credential = fields.String(**ALWAYS, validate=validate.OneOf(("password", "login_key")))
    expires_at = fields.DateTime(**OR_NULL)


class PolicyRule(Schema):
    resource = fields.String(**ALWAYS)
    actions = fields.List(fields.String(), **ALWAYS)


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


class LoginKey(Schema):
    created_at = fields.DateTime(**ALWAYS)
    expires_at = fields.DateTime(**ALWAYS)


class MadeLoginKey(Schema):
    key = fields.String(**ALWAYS, **ONCE)
    expires_at = fields.DateTime(**ALWAYS)


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


class Domain(Schema):
    name = fields.String(**ALWAYS)
    login_key_lifetime_s = fields.Integer(**ALWAYS)
    created_at = fields.DateTime(**ALWAYS)


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


class Client(Schema):
    client_id = fields.String(**ALWAYS)
    name = fields.String(**ALWAYS)
    redirect_uris = fields.List(fields.String(), **ALWAYS)
    grants = fields.List(fields.String(validate=validate.OneOf(GRANTS)), **ALWAYS)
    service = fields.Boolean(**ALWAYS)
    public = fields.Boolean(**ALWAYS)
    created_at = fields.DateTime(**ALWAYS)
    client_secret = fields.String(**ONCE)


class SigningKey(Schema):
    kid = fields.String(**ALWAYS)
    algorithm = fields.String(**ALWAYS, validate=validate.OneOf(ALGORITHMS))
    created_at = fields.DateTime(**ALWAYS)
    retired_at = fields.DateTime(**OR_NULL)
    current = fields.Boolean(**ALWAYS)
    published = fields.Boolean(**ALWAYS)


class AuditLine(Schema):
    id = fields.Integer(**ALWAYS)
    at = fields.DateTime(**ALWAYS)
    action = fields.String(**ALWAYS)
    actor_id = fields.String(**OR_NULL)
    actor = fields.String(**ALWAYS)
    target = fields.String(**OR_NULL)
    address = fields.String(**OR_NULL)
    request_id = fields.String(**OR_NULL)
    details = fields.Dict(keys=fields.String(), **ALWAYS)


class _List(Schema):
    total = fields.Integer(**ALWAYS)
    page = fields.Integer(**ALWAYS)
    per_page = fields.Integer(**ALWAYS)


class UserList(_List):
    items = fields.List(fields.Nested(User), **ALWAYS)


class AccessTokenList(_List):
    items = fields.List(fields.Nested(AccessToken), **ALWAYS)


class DomainList(_List):
    items = fields.List(fields.Nested(Domain), **ALWAYS)


class RoleTokenList(_List):
    items = fields.List(fields.Nested(RoleToken), **ALWAYS)
    cut_offs = fields.List(fields.Nested(SubjectCutOff), **ALWAYS)


class ClientList(_List):
    items = fields.List(fields.Nested(Client), **ALWAYS)


class SigningKeyList(_List):
    items = fields.List(fields.Nested(SigningKey), **ALWAYS)


class AuditList(_List):
    items = fields.List(fields.Nested(AuditLine), **ALWAYS)


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
