"""OAuth2 by authlib: authorization code with PKCE, refresh token, client credentials; RFC 7009, RFC 7662, RFC 9207.

authlib knows the protocol (which errors, which redirects, which client may use what); these classes tell it where things are kept.
"""

from __future__ import annotations

import dataclasses
import hmac
import re
from collections.abc import Callable
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Payload, FlaskOAuth2Request
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import ClientMixin, InvalidGrantError, InvalidRequestError, OAuth2Request, grants
from authlib.oauth2.rfc6749.authenticate_client import authenticate_client_secret_basic
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc9207 import IssuerParameter
from flask import Flask, request

from services.auth.api.context import house, origin
from services.auth.models import AuthorizationCode, Client, Grant, User
from services.auth.rules import credentials, redirects
from services.auth.service.authorizing import Known, Request
from services.auth.service.browsers import Visitor
from services.auth.service.origin import Origin

SCOPES = ("openid", "profile", "email")
METHODS = ["client_secret_basic", "client_secret_post", "none"]
_NONCE = re.compile(r"[\x21-\x7e]{1,255}")


class OAuthClient(ClientMixin):  # type: ignore[misc]
    """A client as authlib asks about it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def get_client_id(self) -> str:
        return self.client.id

    def get_default_redirect_uri(self) -> str | None:
        return str(self.client.redirect_uris[0]) if len(self.client.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(one for one in SCOPES if one in (scope or "").split())

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirects.is_registered(redirect_uri, self.client.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        kept = self.client.secret_digest
        return kept is not None and hmac.compare_digest(kept, credentials.digest(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method == "none") == (self.client.secret_digest is None)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.client.grants


def _asking(client: OAuthClient) -> Origin:
    """Where the request comes from, for the audit: a client sent it."""
    return dataclasses.replace(origin(), actor=client.client.name, actor_id=client.client.id)


class _Request(FlaskOAuth2Request):  # type: ignore[misc]
    """TLS ends before the service (the gateway, or what stands before it), so the scheme seen here says nothing about the client's way."""

    def __init__(self, given: Any) -> None:
        OAuth2Request.__init__(self, method=given.method, uri="https://" + given.url.partition("://")[2], headers=given.headers)
        self._request = given
        self.payload = FlaskOAuth2Payload(given)


class _Server(AuthorizationServer):  # type: ignore[misc]
    def create_oauth2_request(self, _: Any) -> _Request:
        return _Request(request)

    def get_consent_grant(self, request: Any = None, end_user: Visitor | None = None) -> Any:
        try:
            return super().get_consent_grant(request, end_user)
        except ValueError:  # authlib quotes what it refuses, and RFC 6749 has letters that no description may hold
            raise InvalidRequestError from None

    def send_signal(self, *_: Any, **__: Any) -> None:
        """Nobody listens."""


class _Kept:
    """A code or a sign-in as authlib asks about it."""

    def __init__(self, row: AuthorizationCode | Grant, secret: str) -> None:
        self.row = row
        self.secret = secret

    def get_redirect_uri(self) -> str:
        return str(self.row.redirect_uri)

    def get_scope(self) -> str:
        return self.row.scope

    def check_client(self, client: OAuthClient) -> bool:
        return self.row.client_id == client.client.id

    @property
    def code_challenge(self) -> str:
        return str(self.row.challenge)

    @property
    def code_challenge_method(self) -> str:
        return "S256"


class _CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
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
        return house().authorizing.new_code(self.request.client.client, visitor.caller, asked, visitor.signed_in_at, origin().acting(user))

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Kept when it was made."""

    def query_authorization_code(self, code: str, client: OAuthClient) -> _Kept | None:
        found = house().authorizing.find_code(code, client.client, _asking(client))
        return _Kept(found, code) if found else None

    def delete_authorization_code(self, authorization_code: _Kept) -> None:
        """It stays, marked as used, so that a second use is noticed."""

    def authenticate_user(self, authorization_code: _Kept) -> User | None:
        return house().authorizing.user_of(authorization_code.row.user_id)

    def generate_token(self, user: User, **_: Any) -> dict[str, Any]:
        client: OAuthClient = self.request.client
        issued = house().authorizing.exchange(self.request.authorization_code.row, client.client, user, _asking(client))
        if issued is None:
            raise InvalidGrantError("Invalid 'code' in request.")
        return issued


class _RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> _Kept | None:
        grant = house().sign_in.find(refresh_token)
        return _Kept(grant, refresh_token) if grant else None

    def authenticate_user(self, refresh_token: _Kept) -> User | None:
        user = house().authorizing.user_of(refresh_token.row.user_id)
        if user is None:
            raise InvalidGrantError
        return user

    def generate_token(self, **_: Any) -> dict[str, Any]:
        kept = self.request.refresh_token
        issued = house().authorizing.refresh(kept.secret, kept.row, _asking(self.request.client))
        if issued is None:
            raise InvalidGrantError("The refresh token was used before, or its sign-in is over.")
        return issued.shown()

    def revoke_old_credential(self, refresh_token: _Kept) -> None:
        """Spent when the new one was made, in the same transaction."""


class _ClientGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS[:2]

    def generate_token(self, **_: Any) -> dict[str, Any]:
        client: OAuthClient = self.request.client
        return house().authorizing.for_itself(client.client, _asking(client))


class _RequiredPKCE(CodeChallenge):  # type: ignore[misc]
    """PKCE by S256 for every client (RFC 9700 2.1.1), not for public ones alone."""

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if not data.get("code_challenge"):
            raise InvalidRequestError("Missing 'code_challenge'")
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("Unsupported 'code_challenge_method'; use S256")
        super().validate_code_challenge(grant, redirect_uri)


class _InteractionRequired(OAuth2Error):  # type: ignore[misc]
    error = "interaction_required"


class _OpenID:
    """What OpenID Connect adds to a request (Core 3.1.2.1): `nonce`, and `prompt=none`, which always fails: consent is asked each time."""

    def __call__(self, grant: Any) -> None:
        grant.register_hook("after_validate_authorization_request_payload", self.check)

    def check(self, grant: Any, _: str) -> None:
        data = grant.request.payload.data
        if data.get("nonce") and not _NONCE.fullmatch(data["nonce"]):
            raise InvalidRequestError("'nonce' must be 1 to 255 visible characters of ASCII")
        if "none" in data.get("prompt", "").split():
            raise _InteractionRequired("Consent is asked on a page.")


class _Token:
    """A good token as authlib asks about it."""

    def __init__(self, known: Known) -> None:
        self.known = known

    def check_client(self, client: OAuthClient) -> bool:
        return self.known.client_id == client.client.id

    def is_expired(self) -> bool:
        return False  # one that has expired is not found

    def is_revoked(self) -> bool:
        return False


class _WithoutHint:
    """Every token says what it is, so the hint is ignored; one that is not known must be (RFC 7009 2.2)."""

    def check_params(self, request: Any, client: OAuthClient) -> None:
        if "token" not in request.form:
            raise InvalidRequestError("Missing 'token' in request.")


class _Introspection(_WithoutHint, IntrospectionEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = METHODS[:2]

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Token | None:
        known = house().authorizing.find_token(token_string)
        return _Token(known) if known else None

    def check_permission(self, token: _Token, client: OAuthClient, request: Any) -> bool:
        """Services may ask about every token, others about their own."""
        return client.client.service or token.check_client(client)

    def introspect_token(self, token: _Token) -> dict[str, Any]:
        known, settings = token.known, house().settings
        answer: dict[str, Any] = {"active": True, "iss": settings.issuer}
        if known.client_id:
            answer["client_id"] = known.client_id
        if known.user:
            answer |= {"sub": known.user.id, "username": known.user.email}
        if known.grant is not None:
            return answer | {"scope": known.grant.scope, "exp": int(known.grant.expires_at.timestamp()), "token_type": "refresh_token"}
        assert known.verified is not None
        answer |= {"aud": settings.audience, "jti": known.verified.id, "token_type": "Bearer"}
        if known.verified.subject and "sub" not in answer:
            answer["sub"] = known.verified.subject
        if known.verified.scope:
            answer["scope"] = known.verified.scope
        if known.verified.expires_at:
            answer["exp"] = int(known.verified.expires_at.timestamp())
        return answer


class _Revocation(_WithoutHint, RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Token | None:
        known = house().authorizing.find_token(token_string)
        return _Token(known) if known else None

    def revoke_token(self, token: _Token, request: Any) -> None:
        house().authorizing.revoke(token.known, _asking(request.client))


class _Issuer(IssuerParameter):  # type: ignore[misc]
    def get_issuer(self) -> str:
        return house().settings.issuer


def _client(client_id: str | None) -> OAuthClient | None:
    found = house().authorizing.find_client(client_id)
    return OAuthClient(found) if found else None


def _by_basic(query_client: Callable[[str], OAuthClient | None], request: _Request) -> OAuthClient | None:
    """The client by its Basic credentials (RFC 6749 2.3.1), None when the header holds none."""
    try:
        found: OAuthClient | None = authenticate_client_secret_basic(query_client, request)
    except ValueError:  # no text, or a scheme alone
        return None
    return found


def register(app: Flask) -> AuthorizationServer:
    """The authorization server of the application, at `extensions["oauth"]`."""
    app.config["OAUTH2_SCOPES_SUPPORTED"] = list(SCOPES)
    server = _Server(app, query_client=_client, save_token=lambda token, request: None)
    server.register_client_auth_method("client_secret_basic", _by_basic)
    server.register_grant(_CodeGrant, [_RequiredPKCE(required=True), _OpenID()])
    server.register_grant(_RefreshGrant)
    server.register_grant(_ClientGrant)
    server.register_endpoint(_Introspection)
    server.register_endpoint(_Revocation)
    server.register_extension(lambda _: _Issuer()(server))
    app.extensions["oauth"] = server
    return server
