"""The grants: authorization code with PKCE, refresh token, client credentials; and what OpenID Connect adds to a request."""

from __future__ import annotations

import re
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, InvalidScopeError, grants
from authlib.oauth2.rfc7636 import CodeChallenge

from services.auth.credentials.service.browsers import Visitor
from services.auth.models import AuthorizationCode, Grant, User
from services.auth.oauth.rules.clients import METHODS, SECRET_METHODS
from services.auth.oauth.server.clients import OAuthClient, asking
from services.auth.oauth.service.authorizing import Request
from services.auth.web import origin, parts

_NONCE = re.compile(r"[\x21-\x7e]{1,255}")


class _Code:
    """An authorization code as authlib asks about it."""

    def __init__(self, row: AuthorizationCode) -> None:
        self.row = row

    def get_redirect_uri(self) -> str:
        return self.row.redirect_uri

    def get_scope(self) -> str:
        return self.row.scope

    @property
    def code_challenge(self) -> str:
        return self.row.challenge

    @property
    def code_challenge_method(self) -> str:
        return "S256"


class _RefreshToken:
    """A refresh token and its sign-in as authlib asks about them."""

    def __init__(self, row: Grant, secret: str) -> None:
        self.row = row
        self.secret = secret

    def get_scope(self) -> str:
        return self.row.scope

    def check_client(self, client: OAuthClient) -> bool:
        return self.row.client_id == client.client.id


class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def generate_authorization_code(self) -> str:
        visitor: Visitor = self.request.user
        user = visitor.caller.user
        data = self.request.payload.data
        asked = Request(
            redirect_uri=self.request.payload.redirect_uri or "",
            scope=self.request.scope,
            nonce=data.get("nonce") or None,
            challenge=data["code_challenge"],
        )
        place = origin().acting(user.email, user.id)
        return parts().authorizing.new_code(self.request.client.client, visitor.caller, asked, visitor.signed_in_at, place)

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Do nothing: it was stored when it was created."""

    def query_authorization_code(self, code: str, client: OAuthClient) -> _Code | None:
        found = parts().authorizing.find_code(code, client.client, asking(client))
        return _Code(found) if found else None

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """Do nothing: it stays, marked as used, so that a second use is noticed."""

    def authenticate_user(self, authorization_code: _Code) -> User | None:
        return parts().authorizing.user_of(authorization_code.row.user_id)

    def generate_token(self, user: User, **_: Any) -> dict[str, Any]:
        client: OAuthClient = self.request.client
        issued = parts().authorizing.exchange(self.request.authorization_code.row, client.client, user, asking(client))
        if issued is None:
            raise InvalidGrantError("Invalid 'code' in request.")
        return issued


class RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> _RefreshToken | None:
        grant = parts().grants.find(refresh_token)
        return _RefreshToken(grant, refresh_token) if grant else None

    def authenticate_user(self, refresh_token: _RefreshToken) -> User | None:
        user = parts().authorizing.user_of(refresh_token.row.user_id)
        if user is None:
            raise InvalidGrantError
        return user

    def generate_token(self, **_: Any) -> dict[str, Any]:
        kept = self.request.refresh_token
        asked = (self.request.payload.scope or "").split() or None  # no more than what was allowed: authlib has looked
        issued = parts().authorizing.refresh(kept.secret, kept.row, asking(self.request.client), asked)
        if issued is None:
            raise InvalidGrantError("The refresh token was used before, or its sign-in is over.")
        return issued.shown()

    def revoke_old_credential(self, refresh_token: _RefreshToken) -> None:
        """Do nothing: it was spent when the new one was created, in the same transaction."""


class ClientGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = SECRET_METHODS

    def generate_token(self, **_: Any) -> dict[str, Any]:
        client: OAuthClient = self.request.client
        return parts().authorizing.for_itself(client.client, asking(client))


class RequiredPKCE(CodeChallenge):  # type: ignore[misc]
    """PKCE by S256 for every client (RFC 9700 2.1.1), not only for public ones."""

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if not data.get("code_challenge"):
            raise InvalidRequestError("Missing 'code_challenge'")
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("Unsupported 'code_challenge_method'; use S256")
        super().validate_code_challenge(grant, redirect_uri)


class _InteractionRequired(OAuth2Error):  # type: ignore[misc]
    error = "interaction_required"


class OpenID:
    """What OpenID Connect adds to a request (Core 3.1.2.1): `nonce`, and `prompt=none`, which always fails: consent is asked each time.

    Also a rule of OAuth2 itself: a request names the scopes that it wants (RFC 6749 3.3), because the person allows only those.
    """

    def __call__(self, grant: Any) -> None:
        grant.register_hook("after_validate_authorization_request_payload", self.check)

    def check(self, grant: Any, _: str) -> None:
        data = grant.request.payload.data
        if not (grant.request.scope or "").split():
            raise InvalidScopeError("Name the scopes that you need.")
        if data.get("nonce") and not _NONCE.fullmatch(data["nonce"]):
            raise InvalidRequestError("'nonce' must be 1 to 255 visible characters of ASCII")
        if "none" in data.get("prompt", "").split():
            raise _InteractionRequired("Consent is asked on a page.")
