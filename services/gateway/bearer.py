"""Bearer tokens (RFC 6750) that are JSON Web Tokens: what those middlewares share that ask a request for one.

A token is found where the definition says, with or without `Bearer ` before it; it must hold now, and say who calls; its holder's key
becomes one of the request's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from services.gateway.credentials import Credential, challenge
from services.gateway.definitions.model import Way
from services.gateway.exchange import Exchange
from services.gateway.keys.claims import Said
from services.gateway.keys.model import Key
from services.gateway.keys.token_checks import Known, TokenChecks
from services.gateway.refusals import (
    KEY_MISSING,
    TOKEN_EXPIRED,
    TOKEN_NOT_FOR_THIS,
    TOKEN_NOT_VALID_YET,
    TOKEN_SCOPE_WITHOUT_POLICY,
    TOKEN_USED_EARLY,
    TOKEN_WITHOUT_IDENTITY,
    TOKEN_WITHOUT_POLICY,
    Refusal,
    RefusalKind,
)

_LACKING: Final[Mapping[str, RefusalKind]] = {
    "issuer": TOKEN_NOT_FOR_THIS,
    "audience": TOKEN_NOT_FOR_THIS,
    "policy": TOKEN_WITHOUT_POLICY,
    "policy of a scope": TOKEN_SCOPE_WITHOUT_POLICY,
}


class BearerTokens:
    """Sets the exchange's key, `exchange.claims`, and `exchange.presented_key`, which is the name that the token gives."""

    __slots__ = ("_challenge", "_checks", "_credential", "_in_query", "_is_base", "_missing", "_nameless", "_now", "_sets", "_strips")

    def __init__(self, realm: str, way: Way, checks: TokenChecks, now: Callable[[], float], kind: str, nameless: str) -> None:
        """realm: the API's name. kind: what is asked for, in words. nameless: the detail of a refusal of a token that names nobody."""
        self._checks = checks
        self._sets = checks.sets
        self._now = now
        self._credential = Credential(way.places)
        self._in_query = self._credential.in_query
        self._is_base = way.is_base
        self._strips = way.places.strip
        self._missing = f"Send {kind} in {self._credential.places}."
        self._nameless = nameless
        self._challenge = [challenge(b"Bearer", realm)]

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        for one in self._sets:
            if one.due <= self._now():
                one.refresh()  # behind this request, or ends keys that are too old
        known = exchange.section.memo.get(self)
        if known is None or known.proof.gone or self._in_query:
            found = self._checks.look(self._sent(exchange), exchange.client)
            if not isinstance(found, Known):
                return self._later(exchange, found)
            known = found
            exchange.section.remember(self, known)
        return self._use(exchange, known.said)

    async def _later(self, exchange: Exchange, checking: Awaitable[Known]) -> None:
        waiting = self._use(exchange, (await checking).said)
        if waiting is not None:
            await waiting

    def _use(self, exchange: Exchange, said: Said) -> Awaitable[None] | None:
        """Let a token pass whose signature is right, if all else is. Raises Refusal."""
        exchange.presented_key, exchange.claims = said.identity, said.claims
        now = self._now()
        if not (said.starts <= now < said.ends and said.issued <= now):
            kind = TOKEN_EXPIRED if now >= said.ends else TOKEN_USED_EARLY if now < said.issued else TOKEN_NOT_VALID_YET
            raise Refusal(kind, headers=self._challenge)
        if said.made is None:
            raise self._refused(said)
        key = self._checks.holder(said.made)
        if isinstance(key, Key):
            self._passed(exchange, key)
            return None
        return self._wait(exchange, key)

    async def _wait(self, exchange: Exchange, finding: Awaitable[Key]) -> None:
        self._passed(exchange, await finding)

    def _passed(self, exchange: Exchange, key: Key) -> None:
        exchange.add_key(key, self._is_base)
        if self._strips:
            self._credential.strip(exchange)

    def _refused(self, said: Said) -> Refusal:
        """Return the refusal of a token that gets no key for what it says."""
        if said.lacking == "identity":
            return Refusal(TOKEN_WITHOUT_IDENTITY, detail=self._nameless)
        return Refusal(_LACKING[said.lacking])

    def _sent(self, exchange: Exchange) -> str:
        """Return the token that a client sends. Raises Refusal when it sends none."""
        token = self._credential.sent(exchange)
        if token[:6].lower() == "bearer" and token[6:7] in ("", " "):
            token = token[7:].strip()
        if not token:
            raise Refusal(KEY_MISSING, headers=self._challenge, detail=self._missing)
        return token
