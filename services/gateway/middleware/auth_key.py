"""Asks for a key and finds out whose it is. A `Bearer ` before the key is taken off.

Refusals: key-missing, key-unknown (the only one that fires AuthFailure).
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from services.gateway.credentials import LONGEST, Credential, challenge
from services.gateway.definitions.model import Way
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, KeyFinder, secret_hash
from services.gateway.ports import Ports
from services.gateway.refusals import KEY_MISSING, KEY_UNKNOWN, Refusal


@dataclass(frozen=True, slots=True)
class Spec:
    """realm: of the challenge."""

    realm: str
    way: Way


def fields(reader: DefinitionReader) -> Spec | None:
    """Return where a key is looked for; None when the API does not ask for one, or finds it by a certificate."""
    way = reader.definition.ways.get("auth_token")
    return None if way is None or way.places.use_certificate else Spec(reader.definition.name, way)


def build(spec: Spec, ports: Ports) -> AuthKey:
    """Build the check from the keys."""
    return AuthKey(spec, ports.keys)


class AuthKey:
    """Sets the exchange's key and `exchange.presented_key`."""

    __slots__ = ("_challenge", "_credential", "_find_hash", "_in_query", "_is_base", "_is_plain", "_missing", "_strips")

    def __init__(self, spec: Spec, keys: KeyFinder) -> None:
        self._find_hash = keys.find_hash
        self._credential = credential = Credential(spec.way.places)
        self._in_query = credential.in_query
        self._is_base = spec.way.is_base
        self._strips = spec.way.places.strip
        self._is_plain = self._is_base and not self._strips
        self._missing = f"Send a key in {credential.places}."
        # Only the standard header has a scheme to name.
        self._challenge = [challenge(b"Bearer", spec.realm)] if credential.is_standard else []

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        presented = exchange.section.memo.get(self)
        if presented is None or self._in_query:
            presented = self._presented(exchange)
        exchange.presented_key, hash = presented
        key = self._find_hash(hash) if hash else None
        if isinstance(key, Key):
            if self._is_plain:
                exchange.key = key
            else:
                self._passed(exchange, key)
            return None
        if key is None:
            raise Refusal(KEY_UNKNOWN)
        return self._wait(exchange, key)

    def _presented(self, exchange: Exchange) -> tuple[str, str]:
        """Return the secret that a client sends, and its hash, "" when it is too long for a key. Raises Refusal when it sends none."""
        section = exchange.section
        alone = self._credential.alone(section)
        if alone is not None:
            known = section.said.get(self)
            if known is not None and known[0] == alone:
                presented: tuple[str, str] = known[1]
                section.remember(self, presented)
                return presented
        secret = self._credential.sent(exchange)
        if secret[:6].lower() == "bearer" and secret[6:7] in ("", " "):
            secret = secret[7:].strip()
        if not secret:
            raise Refusal(KEY_MISSING, headers=self._challenge, detail=self._missing)
        presented = secret, secret_hash(secret) if len(secret) <= LONGEST else ""
        section.remember(self, presented)
        if alone is not None:
            section.remember_said(self, alone, presented)
        return presented

    async def _wait(self, exchange: Exchange, finding: Awaitable[Key | None]) -> None:
        key = await finding
        if key is None:
            raise Refusal(KEY_UNKNOWN)
        self._passed(exchange, key)

    def _passed(self, exchange: Exchange, key: Key) -> None:
        exchange.add_key(key, self._is_base)
        if self._strips:
            self._credential.strip(exchange)
