"""Signing in: `/login`."""

from __future__ import annotations

from typing import Any

from services.auth.credentials import schemas
from services.auth.schemas import REFUSED
from services.auth.web import answers, origin, parts
from services.common.documented import Blueprint

blueprint = Blueprint("sign_in", __name__)
Answer = dict[str, Any]


@blueprint.post("/login")
@blueprint.arguments(schemas.Login)
@answers(blueprint, 200, schemas.SignInTokens)
@blueprint.alt_response(401, schema=REFUSED, description="invalid credentials")
@blueprint.alt_response(429, schema=REFUSED, description="too many failures; Retry-After says when")
def login(given: Answer) -> Answer:
    """E-mail with password or login key → access token and refresh token."""
    return parts().sign_in.log_in(given["email"], given["password"], origin()).shown()
