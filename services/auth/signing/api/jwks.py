"""The published keys, public: `/.well-known/jwks.json`."""

from __future__ import annotations

from flask import Response

from services.auth.signing import schemas
from services.auth.web import answers, cacheable, parts
from services.common.documented import Blueprint

blueprint = Blueprint("jwks", __name__)


@blueprint.get("/.well-known/jwks.json")
@answers(blueprint, 200, schemas.PublicKeys)
def jwks() -> Response:
    """The public keys that live tokens are signed with (RFC 7517)."""
    return cacheable(parts().keys.published(), 300)
