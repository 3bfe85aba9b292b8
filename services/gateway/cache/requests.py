"""What of a request decides whether the cache may answer it, and what only requests share that may share an answer."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

from services.gateway.cache.answers import Varying
from services.gateway.cache.storable import directives
from services.gateway.exchange import Exchange
from services.gateway.wire.heads.requests import HeaderSection

# A request that has one of these is the upstream's: it asks for a part, or for a change, or means something else to some servers.
_BYPASS: Final = frozenset({
    b"if-match", b"if-range", b"if-unmodified-since", b"range", b"x-host", b"x-http-method", b"x-http-method-override",
    b"x-method-override", b"x-original-host", b"x-original-url", b"x-rewrite-url",
})  # fmt: skip
# By these answers differ, whatever they say: what a trusted proxy says of the address, which upstreams write into links, and where clients
# put what upstreams know them by.
ALWAYS_NAMED: Final = (
    b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-prefix",
    b"api-key", b"apikey", b"cookie", b"token", b"x-access-token", b"x-api-key", b"x-auth-token", b"x-session-token", b"x-token",
)  # fmt: skip


class Asked(NamedTuple):
    """What the fields of a request say. bypass: the cache has no part in it. youngest: an answer may be so old, in seconds; below 0: none.

    named: the values by which answers differ. conditional: whether the client has an answer already.
    """

    bypass: bool
    authorized: bool
    youngest: float
    named: bytes
    conditional: bool


def read(section: HeaderSection, names: tuple[bytes, ...]) -> Asked:
    """Read the fields of a request. names: those by which answers differ, in lower case."""
    given = section.fields
    said = directives(section.values(b"cache-control")) if b"cache-control" in given else {}
    youngest = float("inf")
    if b"no-cache" in said or (not said and b"no-cache" in given.get(b"pragma", b"").lower()):
        youngest = -1.0
    elif b"max-age" in said:
        age = said[b"max-age"]
        youngest = float(age) if age.isdigit() and len(age) < 16 and int(age) else -1.0
    named = b"\0".join([b"\n".join(section.values(name)) if name in given else b"\r" for name in names])
    return Asked(
        not _BYPASS.isdisjoint(given) or b"no-store" in said,
        b"authorization" in given,
        youngest,
        named,
        b"if-none-match" in given or b"if-modified-since" in given,
    )


def name_of(exchange: Exchange, asked: Asked) -> bytes:
    """Return what only requests share that may get the same answer. Neither a path nor a value of a field has a NUL."""
    api, key = exchange.api, exchange.key
    assert api is not None
    # `made`: callers whom a script names alike may have different sessions, and their answers may differ by these.
    who = "" if key is None else f"{key.id}\0{key.saved_at}\0{key.made}"
    for further in exchange.further_keys:
        who = f"{who}\0{further.id}\0{further.saved_at}\0{further.made}"
    if exchange.certificate is not None:
        who = f"{who}\0\0{exchange.certificate.fingerprint}"
    text = (
        f"{api.revision}\0{exchange.version_name}\0{exchange.secure}\0{exchange.host}\0{exchange.path}\0{exchange.query}"
        f"\0{exchange.upstream_path}\0{exchange.upstream_query}\0{exchange.upstream_host!r}\0{exchange.target}\1{who}\1"
    )
    return blake2b(text.encode("utf-8", "surrogatepass") + asked.named, digest_size=20).digest()


def variant_of(exchange: Exchange, name: bytes, varying: Varying) -> bytes:
    """Return the name of an answer among those that differ by fields of the request, as the upstream gets them."""
    sent = exchange.sent_headers()
    parts = [name, varying.nonce]
    for field in varying.fields:
        values_of = [value.strip(b" \t") for given, value in sent if given.lower() == field]
        parts.append(b"\n".join(values_of) if values_of else b"\r")
    return blake2b(b"\0".join(parts), digest_size=20).digest()
