"""OAuth2 by authlib: authorization code with PKCE, refresh token, client credentials; RFC 7009, RFC 7662, RFC 9207.

authlib knows the protocol (which errors, which redirects, which client may use what); the classes of this folder give it what is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Payload, FlaskOAuth2Request
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.authenticate_client import authenticate_client_secret_basic
from authlib.oauth2.rfc9207 import IssuerParameter
from flask import Flask, request

from services.auth.credentials.service.browsers import Visitor
from services.auth.oauth.rules.clients import SCOPES
from services.auth.oauth.server.clients import OAuthClient
from services.auth.oauth.server.endpoints import Introspection, Revocation
from services.auth.oauth.server.grants import ClientGrant, CodeGrant, OpenID, RefreshGrant, RequiredPKCE
from services.auth.web import parts


class _Request(FlaskOAuth2Request):  # type: ignore[misc]
    """A request as authlib sees it: always https. TLS ends at the gateway or before it, so the scheme seen here is not the client's."""

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
        except ValueError:  # authlib quotes what it refuses, and RFC 6749 forbids some letters in a description
            raise InvalidRequestError from None

    def send_signal(self, *_: Any, **__: Any) -> None:
        """Do nothing: no code listens to authlib's signals."""


class _Issuer(IssuerParameter):  # type: ignore[misc]
    def get_issuer(self) -> str:
        return parts().settings.issuer


def _client(client_id: str | None) -> OAuthClient | None:
    found = parts().authorizing.find_client(client_id)
    return OAuthClient(found) if found else None


def _by_basic(query_client: Callable[[str], OAuthClient | None], request: _Request) -> OAuthClient | None:
    """Return the client by its Basic credentials (RFC 6749 2.3.1), None when the header holds none."""
    try:
        found: OAuthClient | None = authenticate_client_secret_basic(query_client, request)
    except ValueError:  # not text, or a scheme alone
        return None
    return found


def register(app: Flask) -> None:
    """Add the authorization server to the application, as `extensions["oauth"]`."""
    app.config["OAUTH2_SCOPES_SUPPORTED"] = list(SCOPES)
    server = _Server(app, query_client=_client, save_token=lambda token, request: None)
    server.register_client_auth_method("client_secret_basic", _by_basic)
    server.register_grant(CodeGrant, [RequiredPKCE(required=True), OpenID()])
    server.register_grant(RefreshGrant)
    server.register_grant(ClientGrant)
    server.register_endpoint(Introspection)
    server.register_endpoint(Revocation)
    server.register_extension(lambda _: _Issuer()(server))
    app.extensions["oauth"] = server
