"""Introspection (RFC 7662) and revocation (RFC 7009) of tokens."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from services.auth.oauth.rules.clients import METHODS, SECRET_METHODS
from services.auth.oauth.server.clients import OAuthClient, asking
from services.auth.oauth.service.authorizing import Known
from services.auth.web import parts


class _Token:
    """A good token as authlib asks about it."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.for_service = False

    def tells_email(self) -> bool:
        """Say whether the e-mail address is told: to a service, and to an application that the person lets see it."""
        grant, verified = self.known.grant, self.known.verified
        scope = grant.scope if grant is not None else verified.scope if verified is not None else None
        return self.for_service or "email" in (scope or "").split()

    def check_client(self, client: OAuthClient) -> bool:
        return self.known.client_id == client.client.id

    def is_expired(self) -> bool:
        return False  # one that has expired is not found

    def is_revoked(self) -> bool:
        return False


class _WithoutHint:
    """Ignores the hint: every token shows what it is, and an unknown hint must be ignored (RFC 7009 2.2)."""

    def check_params(self, request: Any, client: OAuthClient) -> None:
        if "token" not in request.form:
            raise InvalidRequestError("Missing 'token' in request.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Token | None:
        known = parts().authorizing.find_token(token_string)
        return _Token(known) if known else None


class Introspection(_WithoutHint, IntrospectionEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = SECRET_METHODS

    def check_permission(self, token: _Token, client: OAuthClient, request: Any) -> bool:
        """Let services ask about every token, other clients about their own."""
        token.for_service = client.client.service
        return token.for_service or token.check_client(client)

    def introspect_token(self, token: _Token) -> dict[str, Any]:
        known, settings = token.known, parts().settings
        answer: dict[str, Any] = {"active": True, "iss": settings.issuer}
        if known.client_id:
            answer["client_id"] = known.client_id
        if known.user:
            answer |= {"sub": known.user.id, **({"username": known.user.email} if token.tells_email() else {})}
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


class Revocation(_WithoutHint, RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = METHODS

    def revoke_token(self, token: _Token, request: Any) -> None:
        parts().authorizing.revoke(token.known, asking(request.client))
