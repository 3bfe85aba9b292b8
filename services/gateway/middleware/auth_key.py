"""Asks for a key and finds out whose it is.

Fields: `auth.auth_header_name`, `use_param` + `param_name`, `use_cookie` + `cookie_name` (both named like the header
unless given), `strip_auth_data` (there or, as in Tyk, beside `auth`); `use_keyless` switches it off. As in Tyk 3.1 a
key in the query outranks one in the header, a cookie outranks both, and a leading `Bearer ` is taken off. The key goes
on to the upstream unless `strip_auth_data` is set.
Refusals: key-missing, key-unknown (the only one that fires AuthFailure).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from services.gateway.definitions.model import Definition
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, KeyFinder, secret_hash
from services.gateway.ports import Ports
from services.gateway.refusals import KEY_MISSING, KEY_UNKNOWN, Refusal
from services.gateway.routing.query import parameter, without_parameter

# No key is longer; hashing what an attacker sends must not cost more than a key.
_LONGEST: Final = 1024


class AuthKey:
    """Sets `exchange.key` and `exchange.presented_key`."""

    __slots__ = ("_challenge", "_cookie", "_find_hash", "_header", "_missing", "_param", "_strip")

    def __init__(self, definition: Definition, keys: KeyFinder) -> None:
        auth = definition.auth
        self._find_hash = keys.find_hash
        self._header = auth.auth_header_name.lower().encode("ascii")
        self._param = (auth.param_name or auth.auth_header_name) if auth.use_param else ""
        self._cookie = (auth.cookie_name or auth.auth_header_name).encode("utf-8") if auth.use_cookie else b""
        self._strip = auth.strip_auth_data
        places = (
            f"the header `{auth.auth_header_name}`" if auth.auth_header_name else "",
            f"the query parameter `{self._param}`" if self._param else "",
            f"the cookie `{self._cookie.decode()}`" if self._cookie else "",
        )
        self._missing = f"Send a key in {' or '.join(place for place in places if place)}."
        realm = definition.name.encode("ascii", "ignore").replace(b"\\", b"").replace(b'"', b"'")
        realm = bytes(byte for byte in realm if byte >= 0x20)
        is_standard = self._header == b"authorization"
        # RFC 9110 wants every 401 to name a way in; only for the standard header is there a scheme to name.
        self._challenge = [(b"WWW-Authenticate", b'Bearer realm="%s"' % realm)] if is_standard else []

    @classmethod
    def from_definition(cls, definition: Definition, ports: Ports) -> AuthKey | None:
        return None if definition.use_keyless else cls(definition, ports.keys)

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        presented = exchange.section.memo.get(self)
        if presented is None or self._param:
            presented = self._presented(exchange)
        exchange.presented_key, hash = presented
        key = self._find_hash(hash) if hash else None
        if isinstance(key, Key):
            exchange.key = key
            if self._strip:
                self._strip_from(exchange)
            return None
        if key is None:
            raise Refusal(KEY_UNKNOWN)
        return self._wait(exchange, key)

    def _presented(self, exchange: Exchange) -> tuple[str, str]:
        """The secret that a client shows, and its hash; "" for one that is too long to be a key. Raises Refusal when there is none."""
        given = exchange.section.value(self._header)
        secret = "" if given is None else given.decode("latin-1")
        if self._param and exchange.query:
            secret = parameter(exchange.query, self._param) or secret
        if self._cookie:
            secret = _cookie(exchange, self._cookie) or secret
        if secret[:6].lower() == "bearer" and secret[6:7] in ("", " "):
            secret = secret[7:].strip()
        if not secret:
            raise Refusal(KEY_MISSING, headers=self._challenge, detail=self._missing)
        presented = secret, secret_hash(secret) if len(secret) <= _LONGEST else ""
        exchange.section.remember(self, presented)
        return presented

    async def _wait(self, exchange: Exchange, finding: Awaitable[Key | None]) -> None:
        key = await finding
        if key is None:
            raise Refusal(KEY_UNKNOWN)
        exchange.key = key
        if self._strip:
            self._strip_from(exchange)

    def _strip_from(self, exchange: Exchange) -> None:
        dropped = exchange.drop_headers = exchange.drop_headers or set()
        if self._header:
            dropped.add(self._header)
        if self._param and exchange.query:
            exchange.upstream_query = without_parameter(exchange.query, self._param)
        if self._cookie and b"cookie" in exchange.section.layout.places:
            dropped.add(b"cookie")
            kept = [part for part in _cookies(exchange) if part.partition(b"=")[0].strip() != self._cookie]
            if kept:
                exchange.set_headers = [*(exchange.set_headers or ()), (b"Cookie", b"; ".join(kept))]


def _cookies(exchange: Exchange) -> list[bytes]:
    return [part.strip() for line in exchange.section.values(b"cookie") for part in line.split(b";") if part.strip()]


def _cookie(exchange: Exchange, name: bytes) -> str:
    if b"cookie" in exchange.section.layout.places:
        for part in _cookies(exchange):
            key, _, value = part.partition(b"=")
            if key.strip() == name:
                return value.strip(b' "').decode("latin-1")
    return ""
