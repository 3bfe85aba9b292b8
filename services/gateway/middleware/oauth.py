"""Asks for an OAuth2 access token (`Authorization: Bearer TOKEN`, RFC 6750), and finds out whose it is.

A token is a key that one of the API's own clients was given (`oauth_endpoints`). No other key opens the API: neither one that an operator
created, nor a token of another API's client. The scheme may be written in any case; in a query parameter or a cookie the token may stand
alone.

Refusals: oauth-token-missing, bearer-malformed, oauth-token-unknown (the only one that fires AuthFailure).
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from services.gateway.credentials import LONGEST, Credential, challenge
from services.gateway.definitions.model import Way
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, secret_hash
from services.gateway.ports import Ports
from services.gateway.refusals import BEARER_MALFORMED, OAUTH_TOKEN_MISSING, OAUTH_TOKEN_UNKNOWN, Refusal


@dataclass(frozen=True, slots=True)
class Spec:
    """api_id: whose clients' tokens count. name: of the API, the realm of the challenge."""

    api_id: str
    name: str
    way: Way


def fields(reader: DefinitionReader) -> Spec | None:
    """Return where a token is; None when the API asks for none."""
    definition = reader.definition
    way = definition.ways.get("oauth_key")
    return None if way is None else Spec(definition.api_id, definition.name, way)


def build(spec: Spec, ports: Ports) -> OAuth:
    """Build the check from the keys."""
    return OAuth(spec, ports)


class OAuth:
    """Sets the exchange's key and `exchange.presented_key`."""

    __slots__ = ("_alone", "_api_id", "_challenge", "_credential", "_find_hash", "_is_base", "_missing", "_unknown")

    def __init__(self, spec: Spec, ports: Ports) -> None:
        self._find_hash = ports.keys.find_hash
        self._api_id = spec.api_id
        self._credential = Credential(spec.way.places)
        self._alone = spec.way.places.use_param or spec.way.places.use_cookie
        self._is_base = spec.way.is_base
        self._missing = f"Send an access token in {self._credential.places}: `Bearer`, a space, and the token."
        name, value = challenge(b"Bearer", spec.name)
        self._challenge = [(name, value)]
        self._unknown = [(name, value + b', error="invalid_token"')]

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        text = self._credential.sent(exchange)
        if not text:
            raise Refusal(OAUTH_TOKEN_MISSING, headers=self._challenge, detail=self._missing)
        scheme, _, token = text.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            if not self._alone:
                raise Refusal(BEARER_MALFORMED, headers=self._challenge)
            token = text
        exchange.presented_key = token
        if len(token) > LONGEST:
            raise Refusal(OAUTH_TOKEN_UNKNOWN, headers=self._unknown)
        found = self._find_hash(secret_hash(token))
        if isinstance(found, Key) or found is None:
            self._take(exchange, found)
            return None
        return self._wait(exchange, found)

    async def _wait(self, exchange: Exchange, finding: Awaitable[Key | None]) -> None:
        self._take(exchange, await finding)

    def _take(self, exchange: Exchange, key: Key | None) -> None:
        if key is None or key.issued_by != self._api_id:
            raise Refusal(OAUTH_TOKEN_UNKNOWN, headers=self._unknown)
        exchange.add_key(key, self._is_base)
        self._credential.strip(exchange)
