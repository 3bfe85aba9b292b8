"""Tells browsers which pages of other origins may use the API, and read its answers (CORS, the Fetch standard).

A preflight is answered at once, before the version and before any key. It allows what it asks for, or nothing. What answers say of CORS is
the gateway's alone: the fields that an upstream sends itself are left out, since two values make browsers refuse both. Refusals carry the
fields as well, so that a page can read why it was refused; those of the address, of the client's certificate and of the organisation do
not, because they come before. CORS keeps nobody out: whoever is not a browser does not ask.

Fields:
* `cors.enable` (1.8): Switches it on. Differs: The upstream's own fields never count then; in Tyk they do for an origin that is not
  allowed.
* `cors.allowed_origins` (1.8): The origins of pages that may use the API, such as `https://app.example`. `*` in one stands for any
  characters of a host (`https://*.app.example`), or for any port (`http://localhost:*`); `*` alone, or an empty list, for every origin.
  Differs: A `*` that would also match other people's hosts is a mistake (`https://*app.example`, `https://app.*`).
* `cors.allowed_methods` (1.8): The methods that pages may use; empty = GET, POST and HEAD.
* `cors.allowed_headers` (1.8): The header fields that pages may send, `*` = all; empty = Accept, Content-Type, Origin and
  X-Requested-With. A key needs its own, such as Authorization.
* `cors.exposed_headers` (1.8): The header fields of answers that pages may read.
* `cors.allow_credentials` (1.8): Whether browsers send cookies, certificates and passwords with requests of such pages. With every origin
  allowed the answer repeats the page's own.
* `cors.max_age` (1.8): Seconds for which a browser may keep the answer to a preflight; 0 = the browser's default. Below 0 it keeps none.
* `cors.options_passthrough` (1.8): Sends preflights on to the upstream, which answers them; they need no key. What this definition allows
  still outranks the upstream's answer. Differs: Only preflights without a body pass, and version and path lists count for them; in Tyk
  every OPTIONS request leaves out all checks.
* `cors.debug` (1.8): Logs why a preflight was not allowed.
Refusals: none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.common import logging as logs
from services.common.remembered import Remembered
from services.gateway.definitions import field_names, values
from services.gateway.definitions.checking import check_each
from services.gateway.definitions.reader import Mistake, join
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange, Reply, ResponseHead
from services.gateway.ports import Ports
from services.gateway.routing.origins import ANY, OriginPattern, origin_pattern, why_never
from services.gateway.wire.heads.grammar import Header

log = logs.get(__name__)

_METHODS: Final = frozenset({"GET", "POST", "HEAD"})
_HEADERS: Final = frozenset({"accept", "content-type", "origin", "x-requested-with"})
_LONGEST: Final = 512  # bytes of an origin; no browser sends more
# Origins of which the answer is remembered: an API has few of them, and strangers name any.
_REMEMBERED: Final = (512, 1024)
_MOST_AGE: Final = 2**31
_VARY: Final = b"Vary: Origin\r\n"
_PREFLIGHT_VARY: Final[Header] = (b"Vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
_ALLOW_ORIGIN: Final = b"Access-Control-Allow-Origin"
_OURS: Final = b"access-control-"


@dataclass(frozen=True, slots=True)
class Spec:
    """origins: None = every one. methods: in upper case. headers: in lower case, None = every one. max_age: seconds, 0 = not said."""

    name: str
    origins: tuple[OriginPattern, ...] | None
    methods: frozenset[str] = _METHODS
    headers: frozenset[str] | None = _HEADERS
    exposed: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 0
    passthrough: bool = False
    debug: bool = False


def fields(reader: DefinitionReader) -> Spec | None:
    """Read who may do what; None when it is not switched on: then only the types are checked."""
    own = reader.object("cors", field_names.CORS)
    enabled = own.flag("enable")
    lists = {name: own.texts(name) for name in ("allowed_origins", "allowed_methods", "allowed_headers", "exposed_headers")}
    credentials, passthrough, debug = (own.flag(name) for name in ("allow_credentials", "options_passthrough", "debug"))
    max_age = own.integer("max_age", 0, -_MOST_AGE, _MOST_AGE)
    if not enabled:
        return None
    origins = check_each(own, lists["allowed_origins"], origin_pattern)
    methods = frozenset(check_each(own, lists["allowed_methods"], _method))
    headers = frozenset(name.lower() for name in check_each(own, lists["allowed_headers"], _header_name))
    exposed = check_each(own, lists["exposed_headers"], _header_name)
    every_origin = not lists["allowed_origins"] or ANY in origins
    return Spec(
        reader.definition.name,
        None if every_origin else tuple(origins),
        methods or _METHODS,
        None if "*" in headers else headers | {"origin"} if headers else _HEADERS,
        tuple(exposed),
        credentials,
        max_age,
        passthrough,
        debug,
    )


def _method(text: str) -> str:
    if not values.TOKEN.fullmatch(text):
        raise ValueError(f"`{text[:50]}` is not an HTTP method")
    return text.upper()


def _header_name(text: str) -> str:
    if not values.TOKEN.fullmatch(text):
        raise ValueError(f"`{text[:50]}` is not a header name")
    return text


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of origins that let in everybody or nobody, and of a key that no page can send."""
    spec = fields(reader)
    if spec is None:
        return
    own = reader.object("cors", field_names.CORS)
    place = own.at("allowed_origins")
    wide = spec.origins is None or any(pattern.is_wide for pattern in spec.origins)
    if wide and spec.credentials:
        yield Mistake(place, "every origin is allowed with credentials: any page may act as the user who looks at it; list the origins")
    for index, (text, _) in enumerate(own.texts("allowed_origins")):
        reason = why_never(text)
        if reason:
            yield Mistake(join(place, index), reason)
    if "*" in spec.methods:
        yield Mistake(own.at("allowed_methods"), "* is not a method: list the methods that pages may use")
    if spec.passthrough and not reader.definition.not_versioned and reader.opaque("definition").text("location") == "header":
        yield Mistake(own.at("options_passthrough"), "browsers name no version in a preflight, so none gets to the upstream")
    if spec.headers is not None:
        needed = {way.places.header for way in reader.definition.ways.values() if way.places.header and not way.places.use_certificate}
        for name in sorted(needed):
            if name.lower() not in spec.headers:
                yield Mistake(own.at("allowed_headers"), f"pages cannot send a key: {name} is not among the allowed headers")


def build(spec: Spec, ports: Ports) -> Cors:
    """Build the answers that every origin gets, and what tells origins apart."""
    return Cors(spec)


class Cors:
    """Answers preflights. Writes on `exchange.limits` what all other answers say; what it decided of an origin is remembered.

    steady: whether no preflight goes to the upstream, whose answer would depend on more of its fields.
    """

    __slots__ = (
        "_allow",
        "_debug",
        "_exposed",
        "_headers",
        "_known",
        "_max_age",
        "_methods",
        "_name",
        "_origins",
        "_passthrough",
        "steady",
    )

    def __init__(self, spec: Spec) -> None:
        self._name, self._debug, self._passthrough = spec.name, spec.debug, spec.passthrough
        self.steady = not spec.passthrough
        self._origins, self._headers = spec.origins, spec.headers
        self._methods = spec.methods | {"OPTIONS"}
        credentials = [(b"Access-Control-Allow-Credentials", b"true")] if spec.credentials else []
        self._allow: list[Header] = credentials
        self._exposed = [(b"Access-Control-Expose-Headers", ", ".join(spec.exposed).encode("ascii"))] if spec.exposed else []
        self._max_age = [(b"Access-Control-Max-Age", b"%d" % max(spec.max_age, 0))] if spec.max_age else []
        self._known: Remembered[bytes, bytes] = Remembered(*_REMEMBERED)

    def on_request(self, exchange: Exchange) -> Reply | None:
        sent = exchange.fields
        origin = sent.get(b"origin")
        if exchange.method == "OPTIONS" and b"access-control-request-method" in sent:
            headers = self._preflight(exchange, origin)
            if self._passthrough and exchange.body_length == 0:
                exchange.limits += _lines(headers)
                exchange.ignored = True
                return None
            return Reply(200, headers)
        if origin is None:
            exchange.limits += _VARY
            return None
        lines = self._known.get(origin)
        if lines is None:
            lines = self._known.keep(origin, self._actual(origin), len(origin))
        exchange.limits += lines if exchange.method in self._methods else _VARY
        return None

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        """Leave out what the upstream says of CORS itself, except where it answers a preflight that the definition does not allow."""
        passed = self._passthrough and exchange.method == "OPTIONS" and b"access-control-request-method" in exchange.fields
        if not passed or _ALLOW_ORIGIN in exchange.limits:
            head.headers = [header for header in head.headers if not header[0].lower().startswith(_OURS)]

    def _actual(self, origin: bytes) -> bytes:
        return _VARY + (_lines([*self._allowing(origin), *self._exposed]) if self._allows(origin) else b"")

    def _allows(self, origin: bytes) -> bool:
        if len(origin) > _LONGEST:
            return False
        lower = origin.decode("latin-1").lower()
        return self._origins is None or any(pattern.matches(lower) for pattern in self._origins)

    def _allowing(self, origin: bytes) -> list[Header]:
        return [(_ALLOW_ORIGIN, b"*" if self._origins is None and not self._allow else origin), *self._allow]

    def _preflight(self, exchange: Exchange, origin: bytes | None) -> list[Header]:
        """Return what a preflight is answered with."""
        method = exchange.fields[b"access-control-request-method"]
        asked = b",".join(exchange.section.values(b"access-control-request-headers"))
        names = [name for part in asked.split(b",") if (name := part.strip(b" \t"))]
        if origin is None or not self._allows(origin):
            reason = "the origin is not allowed"
        elif method.decode("latin-1") not in self._methods:
            reason = f"the method {method[:50].decode('latin-1')} is not allowed"
        else:
            wrong = [] if self._headers is None else [name for name in names if name.decode("latin-1").lower() not in self._headers]
            reason = f"the header {wrong[0][:50].decode('latin-1')} is not allowed" if wrong else ""
        if origin is None or reason:
            if self._debug:
                log.info("preflight not allowed", api=self._name, origin=(origin or b"")[:_LONGEST].decode("latin-1"), reason=reason)
            return [_PREFLIGHT_VARY]
        headers = [_PREFLIGHT_VARY, *self._allowing(origin), (b"Access-Control-Allow-Methods", method)]
        if names:
            headers.append((b"Access-Control-Allow-Headers", b", ".join(names)))
        return headers + self._max_age


def _lines(headers: list[Header]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
