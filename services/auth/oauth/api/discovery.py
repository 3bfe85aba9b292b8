"""The addresses of all endpoints, public: `/.well-known/openid-configuration`."""

from __future__ import annotations

from flask import Response

from services.auth.oauth import schemas
from services.auth.oauth.rules.clients import GRANTS, METHODS, SCOPES, SECRET_METHODS
from services.auth.signing.rules import ALGORITHMS
from services.auth.web import answers, cacheable, parts
from services.common.documented import Blueprint

blueprint = Blueprint("discovery", __name__)


@blueprint.get("/.well-known/openid-configuration")
@answers(blueprint, 200, schemas.Discovery)
def discovery() -> Response:
    """Where everything is (OpenID Connect Discovery 1.0, RFC 8414)."""
    issuer = parts().settings.issuer
    return cacheable(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "introspection_endpoint": f"{issuer}/oauth/introspect",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(GRANTS),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(ALGORITHMS),
            "token_endpoint_auth_methods_supported": METHODS,
            "revocation_endpoint_auth_methods_supported": METHODS,
            "introspection_endpoint_auth_methods_supported": SECRET_METHODS,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        },
        300,
    )
