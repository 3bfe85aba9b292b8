"""Says which answers a shared cache may keep, and for how long (RFC 9111); what a definition asks for never outranks it."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from services.gateway.cache.port import LARGEST_BODY
from services.gateway.wire.heads.grammar import Header

# Those that may be kept without being asked to (RFC 9110, 15.1), without 206.
USUAL_CODES: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
# Their bodies are of other requests, or parts.
NEVER_KEPT: Final = frozenset({206, 304})
# Tyk's: the upstream asks for keeping an answer, and how many seconds.
_KEEP: Final = b"x-tyk-cache-action-set"
TTL_FIELD: Final = "x-tyk-cache-action-set-ttl"
_FORBIDDEN: Final = frozenset({b"no-store", b"no-cache", b"private"})
# The gateway writes these for each request itself, so no two of them are alike.
_OF_GATEWAY: Final = frozenset({
    b"*", b"forwarded", b"traceparent", b"tracestate", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-prefix",
    b"x-forwarded-proto", b"x-request-id",
})  # fmt: skip
# They are part of the name of every answer.
_NAMED: Final = frozenset({b"authorization", b"cookie", b"host"})
_LONGEST: Final = 365 * 86_400


class Rule(NamedTuple):
    """What a definition says of answers. timeout: seconds. codes: those that are kept. by_upstream: only what the upstream says a life of.

    ttl_field: in which field it may say it, in lower case.
    """

    timeout: int
    codes: frozenset[int]
    by_upstream: bool = False
    ttl_field: bytes = TTL_FIELD.encode()


class Terms(NamedTuple):
    """How an answer may be kept. seconds: from now. age: how old it is already. vary: by what fields of requests it differs, sorted."""

    seconds: float
    age: float
    vary: tuple[bytes, ...]


def terms(status: int, headers: Iterable[Header], rule: Rule, now: float) -> Terms | None:
    """Return how an answer may be kept, None = not at all. now: epoch seconds."""
    if status not in rule.codes:
        return None
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name.lower(), []).append(value)
    if b"set-cookie" in fields or b"content-range" in fields:
        return None
    said = directives(fields.get(b"cache-control", ()))
    vary = frozenset(_tokens(fields.get(b"vary", ())))
    if not _FORBIDDEN.isdisjoint(said) or not _OF_GATEWAY.isdisjoint(vary):
        return None
    if fields.get(b"access-control-allow-origin", [b"*"]) != [b"*"]:
        vary |= {b"origin"}  # it names the page that asked, and some upstreams do not say so
    length = fields.get(b"content-length")
    if length is not None and length[0].isdigit() and int(length[0]) > LARGEST_BODY:
        return None
    age = _seconds(fields[b"age"][0]) if b"age" in fields else 0
    seconds = _lifetime(fields, said, rule, age, now)
    return None if seconds <= 0 else Terms(min(seconds, _LONGEST), age, tuple(sorted(vary - _NAMED)))


def _lifetime(fields: dict[bytes, list[bytes]], said: dict[bytes, bytes], rule: Rule, age: float, now: float) -> float:
    """Return for how many seconds more an answer may be served."""
    fresh = _freshness(fields, said, now)
    left = None if fresh is None else fresh - age
    if not rule.by_upstream:
        return rule.timeout if left is None else min(rule.timeout, left)
    asked = any(fields.get(_KEEP, ()))
    wanted = _seconds(fields[rule.ttl_field][0]) if asked and rule.ttl_field in fields else 0
    if wanted:
        return wanted
    if left is not None:
        return left
    return rule.timeout if asked else 0


def _freshness(fields: dict[bytes, list[bytes]], said: dict[bytes, bytes], now: float) -> float | None:
    """Return the lifetime that an answer says of itself (RFC 9111, 4.2.1), 0 for one that cannot be read; None = it says nothing."""
    for name in (b"s-maxage", b"max-age"):
        if name in said:
            return _seconds(said[name])
    if b"expires" not in fields:
        return None
    ends = _date(fields[b"expires"][0])
    begins = _date(fields[b"date"][0]) if b"date" in fields else now
    return 0 if ends is None else ends - (now if begins is None else begins)


def directives(values: Iterable[bytes]) -> dict[bytes, bytes]:
    """Read `Cache-Control`: directives in lower case with their values. Of one that comes twice the shorter life counts."""
    found: dict[bytes, bytes] = {}
    for item in b",".join(values).split(b","):
        name, _, value = item.strip().partition(b"=")
        name, value = name.strip().lower(), value.strip().strip(b'"')
        if name and (name not in found or _seconds(value) < _seconds(found[name])):
            found[name] = value
    return found


def _tokens(values: Iterable[bytes]) -> list[bytes]:
    return [token for token in (one.strip().lower() for one in b",".join(values).split(b",")) if token]


def _seconds(text: bytes) -> int:
    """Read a number of seconds, 0 when it is not one."""
    text = text.strip()
    return min(int(text), _LONGEST) if text.isdigit() and len(text) < 20 else _LONGEST if text.isdigit() else 0


def _date(text: bytes) -> float | None:
    try:
        return parsedate_to_datetime(text.decode("latin-1")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
