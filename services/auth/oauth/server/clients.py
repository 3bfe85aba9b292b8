"""A client of ours as authlib asks about it."""

from __future__ import annotations

import dataclasses
import hmac

from authlib.oauth2.rfc6749 import ClientMixin

from services.auth.audit.rules import Origin
from services.auth.credentials.rules import opaque
from services.auth.models import Client
from services.auth.oauth.rules import redirects
from services.auth.oauth.rules.clients import SCOPES
from services.auth.web import origin


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
        return kept is not None and hmac.compare_digest(kept, opaque.digest(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method == "none") == (self.client.secret_digest is None)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.client.grants


def asking(client: OAuthClient) -> Origin:
    """Return where the request comes from, for the audit: a client sent it."""
    return dataclasses.replace(origin(), actor=client.client.name, actor_id=client.client.id)
