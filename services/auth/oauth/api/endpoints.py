"""OAuth2 for programs: tokens, revocation, introspection. The pages of the flow are in `services/auth/pages/`."""

from __future__ import annotations

import json
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError
from flask import Response, current_app, request
from werkzeug.exceptions import HTTPException

from services.auth.credentials.schemas import SignInTokens
from services.auth.oauth import schemas
from services.auth.oauth.rules.clients import SECRET_METHODS
from services.auth.schemas import Nothing
from services.auth.web import answers, basic, origin, parts
from services.common.documented import Blueprint

blueprint = Blueprint("endpoints", __name__)
_PRIVATE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def _answer(status: int, body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), status, _PRIVATE, mimetype="application/json")


def _error(error: str, description: str) -> Response:
    return _answer(400, {"error": error, "error_description": description})


def _stranger(endpoint: str, *, open_to_all: bool = False) -> Response | None:
    """Answer 401 to a caller that is not a client before anything else is judged. Without a header the body may hold the credentials.

    open_to_all: a caller without a secret in the header passes. A public client may still name itself there
    (requests-oauthlib does), or send the token that it has, which does not name a client.
    """
    server = current_app.extensions["oauth"]
    by_header = "Authorization" in request.headers
    if open_to_all and not (basic() or ("", ""))[1]:
        return None
    try:
        server.authenticate_client(server.create_oauth2_request(None), [SECRET_METHODS[not by_header]], endpoint)
    except InvalidClientError as error:
        error.status_code = 401
        answer: Response = server.handle_error_response(None, error)
        return answer
    except HTTPException:  # a body that cannot be read holds no credentials
        return _answer(401, {"error": InvalidClientError.error})
    return None


def _repeated() -> Response | None:
    """Refuse a form that has a parameter more than once (RFC 6749 3.2); None when it has not."""
    for name, values in request.form.lists():
        if len(values) > 1:
            return _error("invalid_request", f"Multiple '{name[:50]}' in request.")
    return None


def _without_client() -> bool:
    """Say whether the caller does not name a client: the sign-in of `POST /login` belongs to none."""
    return "Authorization" not in request.headers and not request.form.get("client_id")


@blueprint.post("/oauth/token")
@answers(blueprint, 200, SignInTokens)
@blueprint.alt_response(400, schema=schemas.OAuthError, description="why not")
@blueprint.alt_response(401, schema=schemas.OAuthError, description="the client's own credentials are not right")
def token() -> Response:
    """Grants: authorization_code with PKCE, refresh_token (rotated; a re-used one ends the family), client_credentials."""
    wrong = _stranger("token", open_to_all=True) or _repeated()
    if wrong is not None:
        return wrong
    if request.form.get("grant_type") == "refresh_token" and _without_client():
        given = request.form.get("refresh_token", "")
        if not given:
            return _error("invalid_request", "Missing 'refresh_token' in request.")
        grant = parts().grants.find(given)
        issued = parts().authorizing.refresh(given, grant, origin()) if grant and grant.client_id is None else None
        if issued is None:
            return _error("invalid_grant", "The refresh token is not known, was used before, or its sign-in is over.")
        return _answer(200, issued.shown())
    answer: Response = current_app.extensions["oauth"].create_token_response()
    return answer


@blueprint.post("/oauth/revoke")
@answers(blueprint, 200, Nothing)
@blueprint.alt_response(400, schema=schemas.OAuthError, description="why not")
@blueprint.alt_response(401, schema=schemas.OAuthError, description="the client's own credentials are not right")
def revoke() -> Response:
    """Take a token back (RFC 7009). 200 also for one that is not known."""
    wrong = _stranger("revocation", open_to_all=True) or _repeated()
    if wrong is not None:
        return wrong
    if _without_client() and request.form.get("token"):
        known = parts().authorizing.find_token(request.form["token"])
        if known is None:
            return _answer(200, {})
        if known.client_id is None:
            if not known.revocable:
                return _error("unsupported_token_type", "This kind of token is removed where it was made.")
            parts().authorizing.revoke(known, origin())
            return _answer(200, {})
    answer: Response = current_app.extensions["oauth"].create_endpoint_response("revocation")
    return answer


@blueprint.post("/oauth/introspect")
@answers(blueprint, 200, schemas.Introspection)
@blueprint.alt_response(400, schema=schemas.OAuthError, description="why not")
@blueprint.alt_response(401, schema=schemas.OAuthError, description="the client's own credentials are not right")
def introspect() -> Response:
    """What a token is worth (RFC 7662): services ask about every one, other clients about their own."""
    wrong = _stranger("introspection") or _repeated()
    if wrong is not None:
        return wrong
    answer: Response = current_app.extensions["oauth"].create_endpoint_response("introspection")
    return answer
