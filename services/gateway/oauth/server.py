"""The protocol, by authlib: RFC 6749, 7009 and 7636. The classes here give it what is stored.

It costs a process some megabytes, so it is imported with the first request, in a thread. Scopes have no meaning: `key_rules` or a policy
say what a token may do.
"""

from __future__ import annotations

import hmac
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientMixin,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Payload,
    OAuth2Request,
    UnauthorizedClientError,
    grants,
)
from authlib.oauth2.rfc6749.authenticate_client import authenticate_client_secret_basic
from authlib.oauth2.rfc6749.util import extract_basic_authorization
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge

from services.gateway.keys.model import secret_hash
from services.gateway.oauth.tokens import Asked, Refused, Tokens
from services.gateway.stores.oauth import Client, Code, RefreshToken

R = TypeVar("R")
Pairs = Sequence[tuple[str, str]]
# Status, headers, body.
Answer = tuple[int, list[tuple[str, str]], bytes]

# Of a client that was deleted in the course of a request.
GONE: Final[Answer] = (400, [("Content-Type", "application/json")], b'{"error": "invalid_client"}')
_METHODS: Final = ["client_secret_basic", "client_secret_post"]


class _Payload(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, pairs: Pairs) -> None:
        self._data = dict(reversed(pairs))  # the first of several counts
        self._lists: defaultdict[str, list[str]] = defaultdict(list)
        for name, value in pairs:
            self._lists[name].append(value)

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return self._lists


class Request(OAuth2Request):  # type: ignore[misc]
    """A request as authlib sees it, always https: TLS may end before the gateway. fields: of the query, of the form, or of both."""

    def __init__(self, method: str, headers: Mapping[str, str], fields: Pairs) -> None:
        super().__init__(method, "https://gateway.invalid/", headers=dict(headers))
        self.payload = _Payload(fields)

    @property
    def args(self) -> dict[str, str]:
        return {}

    @property
    def form(self) -> dict[str, str]:
        found: dict[str, str] = self.payload.data
        return found


class _Client(ClientMixin):  # type: ignore[misc]
    def __init__(self, client: Client, asked: Asked) -> None:
        self.client = client
        self._spec = asked.spec

    def get_client_id(self) -> str:
        return self.client.id

    def get_default_redirect_uri(self) -> str | None:
        return self.client.redirect_uris[0] if len(self.client.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.client.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return hmac.compare_digest(self.client.secret_hash, secret_hash(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in _METHODS

    def check_response_type(self, response_type: str) -> bool:
        return response_type in self._spec.authorize_types

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self._spec.access_types


class _Code:
    def __init__(self, code: Code, text: str) -> None:
        self.code = code
        self.text = text
        self.code_challenge = code.challenge
        self.code_challenge_method = code.challenge_method or None

    def get_redirect_uri(self) -> str:
        return self.code.redirect_uri

    def get_scope(self) -> str:
        return ""


class _RefreshToken:
    def __init__(self, token: RefreshToken, text: str, scope: str) -> None:
        self.token = token
        self.text = text
        self._scope = scope

    def get_scope(self) -> str:
        return self._scope

    def check_client(self, client: _Client) -> bool:
        return self.token.client_id == client.client.id


class _CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

    def save_authorization_code(self, code: str, request: Request) -> None:
        data = request.payload.data
        challenge = data.get("code_challenge") or ""
        method = (data.get("code_challenge_method") or "plain") if challenge else ""
        redirect_uri = request.payload.redirect_uri or ""
        self.server.tokens.add_code(request.client.client, code, request.user, redirect_uri, challenge, method)
        self.server.code = code

    def query_authorization_code(self, code: str, client: _Client) -> _Code | None:
        found = self.server.tokens.code(client.client, code)
        return None if found is None else _Code(found, code)

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """Do nothing: it stays, marked as used, so that a second use is noticed."""

    def authenticate_user(self, authorization_code: _Code) -> bool:
        return True  # whose it is stands in the session

    def generate_token(self, **_: Any) -> dict[str, Any]:
        code: _Code = self.request.authorization_code
        server: _Server = self.server
        return server.tokens.exchange(server.asked, self.request.client.client, code.code, code.text)


class _ImplicitGrant(grants.ImplicitGrant):  # type: ignore[misc]
    def authenticate_token_endpoint_client(self) -> _Client:
        """Return the client that is named: it shows no secret where the user's browser could see it."""
        client: _Client | None = self.server.query_client(self.request.payload.client_id)
        if client is None:
            raise InvalidClientError(description="The client does not exist on this server.")
        return client

    def generate_token(self, user: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        server: _Server = self.server
        return server.tokens.at_once(server.asked, self.request.client.client, user)


class _RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> _RefreshToken | None:
        found = self.server.tokens.refresh_token(self.request.client.client, refresh_token)
        return None if found is None else _RefreshToken(found, refresh_token, self.request.payload.scope or "")

    def authenticate_user(self, refresh_token: _RefreshToken) -> bool:
        return True

    def generate_token(self, **_: Any) -> dict[str, Any]:
        token: _RefreshToken = self.request.refresh_token
        server: _Server = self.server
        return server.tokens.refresh(server.asked, self.request.client.client, token.token, token.text)

    def revoke_old_credential(self, refresh_token: _RefreshToken) -> None:
        """Do nothing: it was spent when the new one was stored, in the same transaction."""


class _ClientGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

    def generate_token(self, **_: Any) -> dict[str, Any]:
        server: _Server = self.server
        client: Client = self.request.client.client
        if not client.policy_id:
            raise UnauthorizedClientError("The client has no policy, so nothing says what its tokens may do.")
        return server.tokens.for_itself(server.asked, client)


class _Token:
    def __init__(self, text: str) -> None:
        self.text = text

    def check_client(self, client: _Client) -> bool:
        return True  # one of another client is not found, and does not end


class _Revocation(RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = _METHODS

    def check_params(self, request: Request, client: _Client) -> None:
        """Ignore the hint: what a token is shows by itself."""
        if "token" not in request.form:
            raise InvalidRequestError("Missing 'token' in request.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Token:
        return _Token(token_string)

    def revoke_token(self, token: _Token, request: Request) -> None:
        self.server.tokens.revoke(request.client.client, token.text)


class _Server(AuthorizationServer):  # type: ignore[misc]
    """For one request. code: what was given in its course."""

    def __init__(self, tokens: Tokens, asked: Asked) -> None:
        super().__init__()
        self.tokens = tokens
        self.asked = asked
        self.code = ""
        self.register_client_auth_method("client_secret_basic", _by_basic)
        self.register_grant(_CodeGrant, [CodeChallenge(required=False)])
        for grant in (_ImplicitGrant, _RefreshGrant, _ClientGrant):
            self.register_grant(grant)
        self.register_endpoint(_Revocation)

    def query_client(self, client_id: str | None) -> _Client | None:
        found = self.tokens.client(self.asked.api, client_id)
        return None if found is None else _Client(found, self.asked)

    def authenticate_client(self, request: Request, methods: list[str], endpoint: str = "token") -> _Client:
        """Return the client that proves itself. Raises InvalidClientError, the same for an unknown one as for a wrong secret.

        Raises InvalidRequestError when the header and the form do not say the same.
        """
        _refuse_contradiction(request)
        try:
            found: _Client = super().authenticate_client(request, methods, endpoint)
        except InvalidClientError:
            raise InvalidClientError(status_code=401, description="The client is unknown, or its secret is wrong.") from None
        return found

    def save_token(self, token: Any, request: Any) -> None:
        """Do nothing: it was stored when it was created."""

    def create_oauth2_request(self, request: Request) -> Request:
        return request

    def send_signal(self, *_: Any, **__: Any) -> None:
        """Do nothing: no code listens to authlib's signals."""

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        return status, list(headers), json.dumps(dict(body)).encode() if body else b"" if status in (302, 307) else b"{}"


def _refuse_contradiction(request: Request) -> None:
    """Raise InvalidRequestError where a client proves itself twice, as two clients or with two secrets (RFC 6749, 2.3)."""
    try:
        id, secret = extract_basic_authorization(request.headers)
    except ValueError:  # not text
        return
    named, shown = (request.form.get(name) for name in ("client_id", "client_secret"))
    if id is not None and ((named and named != id) or (shown and shown != secret)):
        raise InvalidRequestError("The client in the header `Authorization` is not that in the form.")


def _by_basic(query_client: Callable[[str], _Client | None], request: Request) -> _Client | None:
    """Return the client by its Basic credentials (RFC 6749, 2.3.1), None when the header holds none."""
    try:
        found: _Client | None = authenticate_client_secret_basic(query_client, request)
    except ValueError:  # not text
        return None
    return found


def check_authorization(tokens: Tokens, asked: Asked, request: Request, *, redirected: bool) -> Answer | None:
    """Check what a client asks a user for: None when it is sound, or how it is refused. redirected: as `_answered`."""
    server = _Server(tokens, asked)

    def work() -> None:
        server.get_consent_grant(request)

    return _answered(server, request, work, redirected=redirected)


def authorize(tokens: Tokens, asked: Asked, request: Request, session: Mapping[str, Any]) -> Answer:
    """Answer the login page: where to send the user, with a code or a token."""
    server = _Server(tokens, asked)

    def work() -> Answer:
        grant = server.get_authorization_grant(request)
        grant.validate_no_multiple_request_parameter(request)
        _, _, headers = grant.create_authorization_response(grant.validate_authorization_request(), session)
        body = {"code": server.code, "redirect_to": dict(headers)["Location"]}
        return 200, [("Content-Type", "application/json"), ("Cache-Control", "no-store")], json.dumps(body).encode()

    return _answered(server, request, work, redirected=False)


def client_of(tokens: Tokens, asked: Asked, request: Request) -> Client | None:
    """Return the client that a request names, unproved."""
    return tokens.client(asked.api, request.payload.client_id)


def token(tokens: Tokens, asked: Asked, request: Request) -> Answer:
    """Answer at the token endpoint."""
    server = _Server(tokens, asked)

    def work() -> Answer:
        _refuse_repeated(request)
        answer: Answer = server.create_token_response(request)
        return answer

    return _answered(server, request, work)


def revoke(tokens: Tokens, asked: Asked, request: Request) -> Answer:
    """Revoke one token (RFC 7009): an unknown one is revoked already."""
    server = _Server(tokens, asked)

    def work() -> Answer:
        _refuse_repeated(request)
        answer: Answer = server.create_endpoint_response(_Revocation.ENDPOINT_NAME, request)
        return answer

    return _answered(server, request, work)


def revoke_all(tokens: Tokens, asked: Asked, request: Request) -> Answer:
    """Revoke all tokens of the client that asks."""
    server = _Server(tokens, asked)

    def work() -> Answer:
        _refuse_repeated(request)
        tokens.revoke_all(server.authenticate_client(request, _METHODS).client)
        return 200, [("Content-Type", "application/json")], json.dumps({"status": "ok", "message": "tokens revoked successfully"}).encode()

    return _answered(server, request, work)


def _refuse_repeated(request: Request) -> None:
    """Raise OAuth2Error for a field that comes twice (RFC 6749, 3.2)."""
    if any(len(values) > 1 for values in request.payload.datalist.values()):
        raise InvalidRequestError("A field comes more than once.")


def _answered(server: _Server, request: Request, work: Callable[[], R], *, redirected: bool = True) -> R | Answer:
    """Do work, or answer the protocol's error. redirected: whether the user's browser may take it to the client."""
    try:
        return work()
    except Refused:
        error: OAuth2Error = InvalidGrantError("It was used before, or what it allows has ended.")
    except OAuth2Error as raised:
        error = raised
    except ValueError:  # authlib quotes what it refuses, and RFC 6749 forbids some letters in a description
        error = InvalidRequestError("A field has a value that is not allowed.")
    if not redirected:
        error.redirect_uri = None
    answer: Answer = server.handle_error_response(request, error)
    return answer
