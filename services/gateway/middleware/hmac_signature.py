"""Asks for an HMAC signature of the request, and finds out whose it is (draft-cavage-http-signatures, as Tyk has it).

`Authorization: Signature keyId="KEY",algorithm="hmac-sha256",headers="(request-target) date",signature="BASE64"`. `keyId` is a key whose
session has `hmac_enabled`; its `hmac_string` is what the signature is made with. Signed is a line for each of `headers`: `name: value`, of
`(request-target)` the method in lower case and the target as sent; without `headers`, the date alone. A name stands in `headers` once: what
a client has signed is never longer than its head. The date is in `X-Aux-Date`, or else in `Date`, and must be signed. The signature may be
percent-encoded, as Tyk's is. Tyk 1.4 signs `date:` and the percent-encoded date with SHA-1; that is taken as well. Bodies are not signed: a
`Digest` is, where a client sends and signs one, and the upstream must check it.

Fields:
* `hmac_allowed_clock_skew` (2.3): Milliseconds that the date may be from the gateway's clock; 0 or less = 5000. Differs: In Tyk 0 switches
  the check off, and a signature then holds for ever.
* `hmac_allowed_algorithms` (2.3): The algorithms that are taken, of `hmac-sha1`, `hmac-sha256`, `hmac-sha384` and `hmac-sha512`; empty =
  all four.
Refusals: signature-malformed, signature-out-of-time, signature-invalid (the only one that fires AuthFailure).
"""

from __future__ import annotations

import base64
import email.utils
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Final, NamedTuple
from urllib.parse import quote_plus, unquote

from services.common.remembered import Remembered
from services.gateway.credentials import LONGEST, Credential
from services.gateway.definitions.model import Way
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, KeyFinder, secret_hash
from services.gateway.ports import Ports
from services.gateway.refusals import SIGNATURE_INVALID, SIGNATURE_MALFORMED, SIGNATURE_OUT_OF_TIME, Refusal

_DIGESTS: Final = {"hmac-sha1": "sha1", "hmac-sha256": "sha256", "hmac-sha384": "sha384", "hmac-sha512": "sha512"}
_USUAL_SKEW_MS: Final = 5000
_LONGEST_FIELD: Final = 8192
_TARGET: Final = b"(request-target)"
# Forms that are remembered, and characters of one: strangers write them.
_FORMS: Final = (1024, 512)
_DATES: Final = (b"x-aux-date", b"date")
_SCHEME: Final = re.compile(r"signature +", re.IGNORECASE).match
_PARAMETER: Final = re.compile(r' *([A-Za-z]+) *= *"([^"]*)" *(?:,|$)').match
_PARAMETERS: Final = frozenset({"keyid", "algorithm", "headers", "signature"})


@dataclass(frozen=True, slots=True)
class Spec:
    """skew: seconds. algorithms: that are taken."""

    way: Way
    skew: float
    algorithms: frozenset[str]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read how old a signature may be, and the algorithms; None when the API asks for no signature."""
    skew = reader.integer("hmac_allowed_clock_skew", 0, -1)
    named = reader.texts("hmac_allowed_algorithms")
    way = reader.definition.ways.get("hmac_key")
    if way is None:
        return None
    for algorithm, pointer in named:
        if algorithm.lower() not in _DIGESTS:
            reader.report.add(pointer, f"`{algorithm[:50]}` is not an algorithm that is served; known are {', '.join(_DIGESTS)}")
    allowed = frozenset(algorithm.lower() for algorithm, _ in named).intersection(_DIGESTS)
    return Spec(way, (skew if skew > 0 else _USUAL_SKEW_MS) / 1000, allowed or frozenset(_DIGESTS))


def build(spec: Spec, ports: Ports) -> HmacSignature:
    """Build the check from the keys and the clock."""
    return HmacSignature(spec, ports.keys, ports.now)


class Form(NamedTuple):
    """What a client sends besides the signature, which is the same in all of its requests. hash: of the key. digest: the name of the hash.

    names: of the signed fields, in lower case; None = the date alone.
    """

    key_id: str
    hash: str
    digest: str
    names: tuple[bytes, ...] | None


class Sent:
    """What one head says. moment: its date, in epoch seconds. date_line: what is signed when that is the date alone."""

    __slots__ = ("_asked", "_text", "date", "form", "moment", "signature")

    def __init__(self, form: Form, signature: bytes, date: bytes, moment: float, date_line: bytes | None) -> None:
        self.form = form
        self.signature = signature
        self.date = date
        self.moment = moment
        self._text = date_line
        self._asked: tuple[object, str, str] | None = None  # the head, its path and query: a script may move it

    def text(self, exchange: Exchange) -> bytes:
        """Return the text that was signed: with the same fields and the same target it is the same."""
        names, head, known = self.form.names, exchange.section.request[0], self._asked
        if self._text is not None and names is None:
            return self._text
        if self._text is not None and known is not None and known[0] is head and known[1:] == (exchange.path, exchange.query):
            return self._text
        text = self._text = _signed(exchange, names or ())
        self._asked = (head, exchange.path, exchange.query) if head else None
        return text


class HmacSignature:
    """Sets the exchange's key and `exchange.presented_key`."""

    __slots__ = ("_algorithms", "_credential", "_dates", "_find_hash", "_forms", "_in_query", "_is_base", "_now", "_skew")

    def __init__(self, spec: Spec, keys: KeyFinder, now: Callable[[], float]) -> None:
        self._find_hash = keys.find_hash
        self._now = now
        self._credential = Credential(spec.way.places)
        self._in_query = self._credential.in_query
        self._is_base = spec.way.is_base
        self._skew = spec.skew
        self._algorithms = spec.algorithms
        # By all that stands before the signature.
        self._forms: Remembered[str, Form] = Remembered(*_FORMS)
        self._dates: Remembered[bytes, float | None] = Remembered(256, 64)

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        sent = exchange.section.memo.get(self)
        if sent is None or self._in_query:
            sent = self._sent(exchange)
        exchange.presented_key = sent.form.key_id
        if abs(sent.moment - self._now()) > self._skew:
            raise Refusal(SIGNATURE_OUT_OF_TIME, detail=f"The date may be {self._skew:g} s from the gateway's clock, before or after.")
        found = self._find_hash(sent.form.hash)
        if found is not None and not isinstance(found, Key):
            return self._wait(exchange, sent, found)
        self._check(exchange, sent, found)
        return None

    def _sent(self, exchange: Exchange) -> Sent:
        """Read the credential and the date, and remember them. Raises Refusal when one is missing or malformed."""
        text = self._credential.sent(exchange)
        if not text:
            raise Refusal(SIGNATURE_MALFORMED, detail=f"Send a signature in {self._credential.places}: {SIGNATURE_MALFORMED.detail}")
        form, signature = self._read(text)
        exchange.presented_key = form.key_id
        name, date, moment = self._date_of(exchange)
        if form.names is not None and name not in form.names:
            raise Refusal(SIGNATURE_MALFORMED, detail=f"The signature does not cover {name.decode()}, so it would hold for ever.")
        sent = Sent(form, signature, date, moment, b"%b: %b" % (name, date) if form.names is None else None)
        exchange.section.remember(self, sent)
        return sent

    def _read(self, sent: str) -> tuple[Form, bytes]:
        """Take the credential apart: what it says, and the signature. Raises Refusal."""
        if len(sent) > _LONGEST_FIELD:
            raise Refusal(SIGNATURE_MALFORMED)
        before, found, value = sent.rpartition('signature="')
        form = self._forms.get(before) if found else None
        if form is None or len(value) < 2 or value.find('"') != len(value) - 1:
            form, value = self._take_apart(sent)
            if sent == f'{before}signature="{value}"':
                self._forms.keep(before, form, len(before))
        else:
            value = value[:-1]
        try:
            decoded = base64.b64decode((unquote(value) if "%" in value else value).encode("ascii"), validate=True)
        except ValueError:
            decoded = b""  # which no signature equals
        return form, decoded

    def _take_apart(self, sent: str) -> tuple[Form, str]:
        scheme = _SCHEME(sent)
        if scheme is None:
            raise Refusal(SIGNATURE_MALFORMED)
        given: dict[str, str] = {}
        place = scheme.end()
        while place < len(sent):
            parameter = _PARAMETER(sent, place)
            if parameter is None or parameter[1].lower() in given or parameter[1].lower() not in _PARAMETERS:
                raise Refusal(SIGNATURE_MALFORMED)
            given[parameter[1].lower()] = parameter[2]
            place = parameter.end()
        algorithm, key_id, value = given.get("algorithm", "").lower(), given.get("keyid", ""), given.get("signature", "")
        if not (algorithm and key_id and value) or len(key_id) > LONGEST:
            raise Refusal(SIGNATURE_MALFORMED)
        if algorithm not in self._algorithms:
            raise Refusal(SIGNATURE_MALFORMED, detail=f"The algorithms that this API takes are {', '.join(sorted(self._algorithms))}.")
        listed = given.get("headers", "").lower().split()
        if len(set(listed)) < len(listed) or not all(map(str.isascii, listed)):
            raise Refusal(SIGNATURE_MALFORMED, detail="The names of the signed fields are ASCII, and each stands once.")
        names = tuple(name.encode("ascii") for name in listed) or None
        return Form(key_id, secret_hash(key_id), _DIGESTS[algorithm], names), value

    def _date_of(self, exchange: Exchange) -> tuple[bytes, bytes, float]:
        """Return the name and the value of the field with the date, and what it says. Raises Refusal when it is missing or no date."""
        for name in _DATES:
            value = exchange.section.value(name)
            if value is not None:
                break
        else:
            raise Refusal(SIGNATURE_MALFORMED, detail="The request has no Date, and no X-Aux-Date.")
        moment = self._dates[value] if value in self._dates else self._dates.keep(value, _moment(value), len(value))
        if moment is None:
            raise Refusal(SIGNATURE_MALFORMED, detail=f"{name.decode().title()} is not a date such as `Mon, 02 Jan 2006 15:04:05 GMT`.")
        return name, value, moment

    async def _wait(self, exchange: Exchange, sent: Sent, finding: Awaitable[Key | None]) -> None:
        self._check(exchange, sent, await finding)

    def _check(self, exchange: Exchange, sent: Sent, key: Key | None) -> None:
        if key is None or key.hmac_secret is None:
            raise Refusal(SIGNATURE_INVALID)
        secret, form = key.hmac_secret.encode(), sent.form
        right = hmac.compare_digest(sent.signature, hmac.digest(secret, sent.text(exchange), form.digest))
        if not right and form.names is None and form.digest == "sha1":
            of_1_4 = f"date:{quote_plus(sent.date)}".encode()
            right = hmac.compare_digest(sent.signature, hmac.digest(secret, of_1_4, "sha1"))
        if not right:
            raise Refusal(SIGNATURE_INVALID)
        exchange.add_key(key, self._is_base)
        self._credential.strip(exchange)


def _moment(value: bytes) -> float | None:
    """Return a date in epoch seconds, None when it is none."""
    try:
        moment = email.utils.parsedate_to_datetime(value.decode("ascii"))
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _signed(exchange: Exchange, names: tuple[bytes, ...]) -> bytes:
    """Return the text that was signed. A signed field that is not there has an empty value, as in Tyk; of several, all count."""
    section = exchange.section
    lines = []
    for name in names:
        if name == _TARGET:
            lines.append(b"%b: %b %b" % (_TARGET, exchange.method.lower().encode("ascii"), _target(exchange)))
        elif name in section.layout.repeated:
            lines.append(b"%b: %b" % (name, b", ".join(section.values(name))))
        else:
            lines.append(b"%b: %b" % (name, section.value(name) or b""))
    return b"\n".join(lines)


def _target(exchange: Exchange) -> bytes:
    """Return the target as it was sent; in its canonical form where the connection does not have it any more."""
    target, path, query = exchange.section.place
    if path == exchange.path and query == exchange.query and target:
        return target
    return (f"{exchange.path}?{exchange.query}" if exchange.query else exchange.path).encode("latin-1")
