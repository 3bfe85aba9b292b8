"""For the neighbours: what a credential is worth; and for everybody: the public keys."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from flask import Response, g, request

from services.auth import answers as shown
from services.auth import refusals, schemas
from services.auth.api import shapes
from services.auth.api.shapes import user_shown
from services.auth.oauth.server.clients import METHODS, SCOPES, SECRET_METHODS
from services.auth.oauth.service.clients import GRANTS
from services.auth.signing.rules import ALGORITHMS
from services.auth.verification.service import Service
from services.auth.web import answers, basic, needs, origin, parts, texts
from services.common.documented import Blueprint

blueprint = Blueprint("verification", __name__, description="What a credential is worth.")
Answer = dict[str, Any]


def service() -> Service:
    """The neighbour that asks, by its client credentials (Basic), found out once a request. Raises Refusal 401."""
    if "service" not in g:
        g.service = parts().verifier.service(*_pair())
    found: Service | None = g.service
    if found is None:
        raise refusals.not_a_service()
    return found


def _pair() -> tuple[str, str]:
    """Raises Refusal 401 when there are no credentials at all."""
    pair = basic()
    if pair is None:
        raise refusals.not_a_service()
    return pair


@blueprint.post("/verify/basic")
@needs(service)
@texts(blueprint, schemas.Basic, otherwise=service)
@answers(blueprint, 200, shown.VerifiedUser)
@blueprint.alt_response(401, schema=shown.REFUSED, description="invalid credentials, or the login key has expired")
def verify_basic(given: Answer) -> Answer:
    """User and password or login key → the user, and which of the two it was."""
    asking = service()
    address = given.get("address")
    place = dataclasses.replace(origin(), actor=asking.name, actor_id=asking.id, address=str(address) if address else None)
    proven = parts().sign_in.check(given["username"], given["password"], place)
    return {**user_shown(proven.user), "credential": proven.method, "expires_at": shapes.moment(proven.ends)}


@blueprint.post("/verify/token")
@needs(_pair)
@texts(blueprint, schemas.TokenToVerify, otherwise=service)
@answers(blueprint, 200, shown.VerifiedToken)
@blueprint.alt_response(401, schema=shown.REFUSED, description="why the token is worth nothing")
def verify_token(given: Answer) -> Answer:
    """Any token of the house → its kind, user, permission, policy, end."""
    verified = parts().verifier.token_for(*_pair(), given["token"])  # one statement judges the service and the token
    if verified is None:
        raise refusals.not_a_service()
    return shapes.verified_token(verified)


def _cacheable(document: Answer, seconds: int) -> Response:
    body = json.dumps(document, separators=(",", ":"))
    answer = Response(body, mimetype="application/json")
    answer.headers["Cache-Control"] = f"public, max-age={seconds}"
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.set_etag(hashlib.sha256(body.encode()).hexdigest()[:32])
    return answer.make_conditional(request)


@blueprint.get("/.well-known/jwks.json")
@answers(blueprint, 200, shown.PublicKeys)
def jwks() -> Response:
    """The public keys that live tokens are signed with (RFC 7517)."""
    return _cacheable(parts().keys.published(), 300)


@blueprint.get("/.well-known/openid-configuration")
@answers(blueprint, 200, shown.Discovery)
def discovery() -> Response:
    """Where everything is (OpenID Connect Discovery 1.0, RFC 8414)."""
    issuer = parts().settings.issuer
    return _cacheable(
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
