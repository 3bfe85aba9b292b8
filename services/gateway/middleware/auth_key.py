"""Asks for a key and finds out whose it is.

As in Tyk 3.1 a key in the query outranks one in the header, and a cookie outranks both. A `Bearer ` before the key is taken off.

Fields:
* `auth.auth_header_name` (1.3): The header that holds the key; empty = `Authorization`. Differs: In 1.4 an empty name refuses every
  request.
* `auth.disable_header` (4.1): No header holds the key. Differs: It is a mistake when no other place is left.
* `auth.use_param` (1.6): A query parameter may hold the key.
* `auth.param_name` (2.2): The name of the parameter; empty = the name of the header. Differs: It has no effect without `use_param`, as in
  Tyk from 4.3 on; before, a name alone switches `use_param` on.
* `auth.use_cookie` (1.8): A cookie may hold the key.
* `auth.cookie_name` (2.2): The name of the cookie; empty = the name of the header. Differs: It has no effect without `use_cookie`, as in
  Tyk from 4.3 on; before, a name alone switches `use_cookie` on.
* `auth_configs.authtoken.*` (3.0): The fields of `auth`. It replaces `auth` when it names a header or switches something on.
* `strip_auth_data` (2.4): Keeps the key from the upstream.
* `auth.strip_auth_data` (own): The same as `strip_auth_data` of the definition itself.
Refusals: key-missing, key-unknown (the only one that fires AuthFailure).
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Final

from services.gateway.definitions import field_names, values
from services.gateway.definitions.not_served import refuse_authentication
from services.gateway.definitions.reader import Mistake, Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, KeyFinder, secret_hash
from services.gateway.ports import Ports
from services.gateway.refusals import KEY_MISSING, KEY_UNKNOWN, Refusal
from services.gateway.routing.query import parameter, without_parameter

# Characters; no key is longer. Hashing what an attacker sends must not cost more than hashing a key.
_LONGEST: Final = 1024
_USUAL_HEADER: Final = "Authorization"


@dataclass(frozen=True, slots=True)
class Spec:
    """Where a key is looked for. header "" = in no header. param_name and cookie_name: the header's unless given, as in Tyk."""

    realm: str
    header: str = _USUAL_HEADER
    use_param: bool = False
    param_name: str = ""
    use_cookie: bool = False
    cookie_name: str = ""
    strip: bool = False


def fields(reader: DefinitionReader) -> Spec | None:
    """Read where a key is looked for; None for a keyless API, whose fields are also checked."""
    spec = _read(reader)
    return None if reader.definition.use_keyless else spec


def _read(reader: DefinitionReader) -> Spec:
    use_keyless = reader.definition.use_keyless
    section = _section(reader)
    refuse_authentication(reader, section, use_keyless)
    # Tyk has it beside `auth`; some write it in `auth`.
    strip = [one.flag("strip_auth_data") for one in (reader, section, reader.opaque("auth"))]
    header = section.text("auth_header_name") or _USUAL_HEADER
    if not values.TOKEN.fullmatch(header):
        section.mistake("auth_header_name", f"`{header}` is not a header name")
    without_header = section.flag("disable_header")
    spec = Spec(
        realm=reader.definition.name,
        header="" if without_header else header,
        use_param=section.flag("use_param"),
        param_name=section.text("param_name") or (header if without_header and section.flag("use_param") else ""),
        use_cookie=section.flag("use_cookie"),
        cookie_name=section.text("cookie_name") or (header if without_header and section.flag("use_cookie") else ""),
        strip=any(strip),
    )
    if without_header and not (use_keyless or spec.use_param or spec.use_cookie):
        section.mistake("disable_header", "disable_header leaves no place for a key: switch on use_param or use_cookie, or take it out")
    return spec


def _section(root: Reader) -> Reader:
    """Return `auth_configs.authToken`, which later releases of Tyk prefer, or else `auth`."""
    own = root.object("auth", field_names.AUTH)
    later = root.opaque("auth_configs").object("authtoken", field_names.AUTH)
    if not any(later.value(name) for name in ("auth_header_name", "disable_header", "use_param", "use_cookie")):
        later.disregard()
        return own
    own.disregard()
    return later


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of fields that have no effect without a switch, or without keys."""
    spec = _read(reader)
    if spec.strip and reader.definition.use_keyless:
        yield Mistake("/auth/strip_auth_data", "strip_auth_data has no effect, since no key is asked for")
    for name, own, used in (("param_name", spec.param_name, spec.use_param), ("cookie_name", spec.cookie_name, spec.use_cookie)):
        if own and not used:
            yield Mistake(f"/auth/{name}", f"{name} has no effect without use_{name.partition('_')[0]}")


def build(spec: Spec, ports: Ports) -> AuthKey:
    """Build the check from the keys."""
    return AuthKey(spec, ports.keys)


class AuthKey:
    """Sets `exchange.key` and `exchange.presented_key`."""

    __slots__ = ("_challenge", "_cookie", "_find_hash", "_header", "_missing", "_param", "_strip")

    def __init__(self, spec: Spec, keys: KeyFinder) -> None:
        self._find_hash = keys.find_hash
        self._header = spec.header.lower().encode("ascii")
        self._param = (spec.param_name or spec.header) if spec.use_param else ""
        self._cookie = (spec.cookie_name or spec.header).encode("utf-8") if spec.use_cookie else b""
        self._strip = spec.strip
        places = (
            f"the header `{spec.header}`" if spec.header else "",
            f"the query parameter `{self._param}`" if self._param else "",
            f"the cookie `{self._cookie.decode()}`" if self._cookie else "",
        )
        self._missing = f"Send a key in {' or '.join(place for place in places if place)}."
        realm = spec.realm.encode("ascii", "ignore").replace(b"\\", b"").replace(b'"', b"'")
        realm = bytes(byte for byte in realm if byte >= 0x20)
        is_standard = self._header == b"authorization"
        # RFC 9110, 11.6.1: a 401 names a scheme. Only the standard header has one to name.
        self._challenge = [(b"WWW-Authenticate", b'Bearer realm="%s"' % realm)] if is_standard else []

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
        """Return the secret that a client sends, and its hash, "" when it is too long for a key. Raises Refusal when it sends none."""
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
