"""The OAuth2 endpoints of an API: which request is which, and how the answers look. Blocks, and belongs in threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

from services.gateway.definitions.reader import Mistakes
from services.gateway.exchange import CompiledApi, Reply
from services.gateway.middleware import oauth_endpoints
from services.gateway.oauth import sessions
from services.gateway.oauth.tokens import Asked, Tokens
from services.gateway.refusals import KEY_RULES_INVALID, KEY_RULES_MISSING, OAUTH_MALFORMED, Refusal

AUTHORIZE: Final = "/oauth/authorize"
AUTHORIZE_CLIENT: Final = "/tyk/oauth/authorize-client"
_MOST_FIELDS: Final = 100


@dataclass(frozen=True, slots=True)
class Sent:
    """A request. query: as sent, without "?". authorization: the header, "" = none."""

    method: str
    query: str
    authorization: str
    body: bytes


class Endpoints:
    """One for each worker."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self._answers: Mapping[str, Callable[[Asked, Sent], Reply]] = {
            AUTHORIZE: self._authorize,
            AUTHORIZE_CLIENT: lambda asked, sent: self.authorize_client(asked.api, _fields(sent.body)),
            "/oauth/token": self._token,
            "/oauth/revoke": self._revoke,
            "/oauth/revoke_all": self._revoke_all,
        }

    def answer(self, endpoint: str, api: CompiledApi, sent: Sent) -> Reply:
        """Answer a request. endpoint: as `oauth_endpoints` names it. Raises Refusal, WrongMasterKey, the store's error."""
        return self._answers[endpoint](_asked(api), sent)

    def _authorize(self, asked: Asked, sent: Sent) -> Reply:
        """Send a user to the login page, with everything that the client asks for."""
        from services.gateway.oauth import server

        query = sent.query
        fields = _pairs(query)
        if sent.method == "POST":
            fields += _fields(sent.body)
            query = urlencode(fields)
        refused = server.check_authorization(self.tokens, asked, server.Request(sent.method, {}, fields), redirected=True)
        if refused is not None:
            return _reply(refused)
        if not asked.spec.login:
            raise Refusal(OAUTH_MALFORMED, detail="This API names no login page (oauth_meta.auth_login_redirect).")
        joined = "&" if "?" in asked.spec.login else "?"
        location = f"{asked.spec.login}{joined}{query}"
        return Reply(307, [(b"Location", location.encode("ascii", "replace")), (b"Cache-Control", b"no-store")])

    def authorize_client(self, api: CompiledApi, fields: list[tuple[str, str]]) -> Reply:
        """Give the login page, which has seen the operator key, where to send the user who has logged in. Raises Refusal."""
        from services.gateway.oauth import server

        asked = _asked(api)
        request = server.Request("POST", {}, fields)
        refused = server.check_authorization(self.tokens, asked, request, redirected=False)
        client = server.client_of(self.tokens, asked, request)
        if refused is not None or client is None:
            return _reply(refused or server.GONE)
        rules = request.payload.data.get("key_rules")
        if rules:
            try:
                session = self.tokens.rules(asked, client, rules)
            except Mistakes as error:
                raise Refusal(KEY_RULES_INVALID, detail=f"key_rules: {error}") from None
        elif client.policy_id:
            session = sessions.of_policy(client)
        else:
            raise Refusal(KEY_RULES_MISSING)
        return _reply(server.authorize(self.tokens, asked, request, session))

    def _token(self, asked: Asked, sent: Sent) -> Reply:
        from services.gateway.oauth import server

        return _reply(server.token(self.tokens, asked, _request(sent)))

    def _revoke(self, asked: Asked, sent: Sent) -> Reply:
        from services.gateway.oauth import server

        return _reply(server.revoke(self.tokens, asked, _request(sent)))

    def _revoke_all(self, asked: Asked, sent: Sent) -> Reply:
        from services.gateway.oauth import server

        return _reply(server.revoke_all(self.tokens, asked, _request(sent)))


def _asked(api: CompiledApi) -> Asked:
    spec = api.definition.spec(oauth_endpoints.Spec)
    assert spec is not None  # an API without it has no endpoints
    return Asked(api, spec)


def _request(sent: Sent):  # type: ignore[no-untyped-def]  # a type of authlib's, which is imported late
    from services.gateway.oauth import server

    headers = {"Authorization": sent.authorization} if sent.authorization else {}
    return server.Request(sent.method, headers, _fields(sent.body))


def _fields(body: bytes) -> list[tuple[str, str]]:
    """Read a form. Raises Refusal."""
    try:
        return _pairs(body.decode())
    except UnicodeDecodeError:
        raise Refusal(OAUTH_MALFORMED) from None


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise Refusal(OAUTH_MALFORMED) from None


def _reply(answer: tuple[int, list[tuple[str, str]], bytes]) -> Reply:
    status, headers, body = answer
    return Reply(status, [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers], body)
