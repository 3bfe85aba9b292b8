"""Finds what a client sends to prove who it is, in a header, a query parameter or a cookie; and takes it out of what the upstream sees.

As in Tyk 3.1 one in the query outranks one in the header, and a cookie outranks both.
"""

from __future__ import annotations

from typing import Final

from services.gateway.definitions.model import Places
from services.gateway.exchange import Exchange
from services.gateway.routing.query import parameter, without_parameter
from services.gateway.wire.heads.grammar import Header
from services.gateway.wire.heads.requests import HeaderSection

# Characters; no key is longer. Hashing what an attacker sends must not cost more than hashing a key.
LONGEST: Final = 1024


class Credential:
    """Of one way of one API.

    places: where it may be, in words. in_query: whether it may be there, so that the header fields alone do not tell it. is_standard:
    whether it is in the header that HTTP has for it.
    """

    __slots__ = ("_cookie", "_header", "_in_header", "_param", "_strip", "in_query", "is_standard", "places")

    def __init__(self, places: Places) -> None:
        self._header = places.header.lower().encode("ascii")
        self._param = (places.param_name or places.header) if places.use_param else ""
        self._cookie = (places.cookie_name or places.header).encode("utf-8") if places.use_cookie else b""
        self._in_header = bool(places.header) and not self._param and not self._cookie
        self._strip = places.strip
        named = (
            f"the header `{places.header}`" if places.header else "",
            f"the query parameter `{self._param}`" if self._param else "",
            f"the cookie `{self._cookie.decode()}`" if self._cookie else "",
        )
        self.places = " or ".join(place for place in named if place)
        self.in_query = bool(self._param)
        self.is_standard = self._header == b"authorization"

    def sent(self, exchange: Exchange) -> str:
        """Return what the client sends, "" = nothing."""
        given = exchange.section.value(self._header)
        sent = "" if given is None else given.decode("latin-1")
        if self._param and exchange.query:
            sent = parameter(exchange.query, self._param) or sent
        if self._cookie:
            sent = _cookie(exchange, self._cookie) or sent
        return sent

    def alone(self, section: HeaderSection) -> bytes | None:
        """Return the field that tells alone what the client sends; None when it does not, or is not there."""
        return section.value(self._header) if self._in_header else None

    def strip(self, exchange: Exchange) -> None:
        """Keep it from the upstream, in every place where it may be, if the definition says so."""
        if not self._strip:
            return
        dropped = exchange.drop_headers = set(exchange.drop_headers or ())
        if self._header:
            dropped.add(self._header)
        if self._param and exchange.query:
            query = exchange.query if exchange.upstream_query is None else exchange.upstream_query
            exchange.upstream_query = without_parameter(query, self._param)
        if self._cookie and b"cookie" in exchange.section.layout.places:
            # Another way may have taken its own cookie out before.
            left = _cookies(exchange) if b"cookie" not in dropped else _cookies_set(exchange)
            dropped.add(b"cookie")
            kept = [part for part in left if part.partition(b"=")[0].strip() != self._cookie]
            others = [header for header in exchange.set_headers or () if header[0] != b"Cookie"]
            exchange.set_headers = [*others, *([(b"Cookie", b"; ".join(kept))] if kept else ())] or None


def challenge(scheme: bytes, realm: str) -> Header:
    """Return the header of a 401 that names a scheme (RFC 9110, 11.6.1). realm: what of it cannot stand there is left out."""
    text = realm.encode("ascii", "ignore").replace(b"\\", b"").replace(b'"', b"'")
    return (b"WWW-Authenticate", b'%b realm="%b"' % (scheme, bytes(byte for byte in text if byte >= 0x20)))


def _cookies(exchange: Exchange) -> list[bytes]:
    return [part.strip() for line in exchange.section.values(b"cookie") for part in line.split(b";") if part.strip()]


def _cookies_set(exchange: Exchange) -> list[bytes]:
    return [part for name, value in exchange.set_headers or () if name == b"Cookie" for part in value.split(b"; ")]


def _cookie(exchange: Exchange, name: bytes) -> str:
    if b"cookie" in exchange.section.layout.places:
        for part in _cookies(exchange):
            key, _, value = part.partition(b"=")
            if key.strip() == name:
                return value.strip(b' "').decode("latin-1")
    return ""
