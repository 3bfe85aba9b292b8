"""Keeps answers of the upstream, and answers the same request of the same caller with them.

Only answers to GET are kept; HEAD is answered from them. What two requests must share: the key (all keys, where several are asked for), the
version, host, path and query, cookies, and what earlier middlewares made of the address; so no key gets the answer of another. Never kept:
answers with `Set-Cookie`, with `Cache-Control: no-store`, `no-cache` or `private`, with `Vary: *`, to requests with a body or a
`Range`, and to requests without a key that carry `Authorization`. What an answer says of its life in `Cache-Control` or `Expires` can only
shorten it, but for `enable_upstream_cache_control`. Answers from the cache have `x-tyk-cached-response: 1` and `Age`. Limits and quotas
count them like others. See docs/caching.md.

Fields:
* `cache_options.enable_cache` (1.5): Switches it on. Nothing is kept unless `cache_all_safe_requests` or a list of paths says what.
* `cache_options.cache_timeout` (1.5): Seconds for which an answer is kept. Differs: The answer's own `Cache-Control` may say less.
* `cache_options.cache_all_safe_requests` (1.5): Keeps answers of every path. Differs: OPTIONS is never answered from the cache; entries of
  `advance_cache_config` keep their own time and codes.
* `cache_options.cache_response_codes` (2.3): The status codes that are kept. Differs: Empty means 200, 203, 204, 300, 301, 308, 404, 405,
  410, 414 and 501, in Tyk every code; 206 and 304 are never kept.
* `cache_options.enable_upstream_cache_control` (1.5): Keeps only answers of which the upstream says so: by `x-tyk-cache-action-set`, or by
  a life in `Cache-Control` or `Expires`, which then counts in place of `cache_timeout`. Differs: In Tyk only the former counts.
* `cache_options.cache_control_ttl_header` (2.4): The field in which an answer with `x-tyk-cache-action-set` says its seconds; empty =
  `x-tyk-cache-action-set-ttl`.
* `cache_options.cache_by_headers` (2.9): Header fields of requests by which the answers of an address differ, besides those that `Vary`
  names.
* `versions.*.extended_paths.cache` (1.5): Patterns of paths, as in path_lists, whose answers are kept, with `use_extended_paths`.
* `versions.*.extended_paths.advance_cache_config` (3.0): Entries for single paths, with `use_extended_paths`. The first one that matches
  decides, before `cache`.
* `versions.*.extended_paths.advance_cache_config[].path` (3.0, required): A pattern, as in path_lists.
* `versions.*.extended_paths.advance_cache_config[].method` (3.0): `GET`, or empty, which means the same. Differs: Others are a mistake:
  their answers are not kept.
* `versions.*.extended_paths.advance_cache_config[].timeout` (4.1): Seconds in place of `cache_timeout`; 0 = that one.
* `versions.*.extended_paths.advance_cache_config[].cache_response_codes` (4.1): Codes in place of those of `cache_options`; empty = those.
* `versions.*.extended_paths.advance_cache_config[].cache_key_regex` (3.0): Has no effect. Differs: In Tyk it takes a part of the body, and
  requests with a body are not answered from the cache here.
* `versions.*.extended_paths.advance_cache_config[].disabled` (5.3): Leaves the entry out.
Refusals: none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.gateway.cache.answers import Varying
from services.gateway.cache.exchanges import Copy, reply_of
from services.gateway.cache.port import AnswerStore, Found
from services.gateway.cache.requests import ALWAYS_NAMED, Asked, name_of, read, variant_of
from services.gateway.cache.storable import NEVER_KEPT, TTL_FIELD, USUAL_CODES, Rule
from services.gateway.definitions import field_names, values
from services.gateway.definitions.checking import check_each
from services.gateway.definitions.model import Definition, Mode, Version
from services.gateway.definitions.reader import Mistake, Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange, Reply, ResponseHead
from services.gateway.ports import Ports
from services.gateway.routing.endpoints import Endpoint, EndpointTable
from services.gateway.routing.patterns import translate

_LONGEST: Final = 365 * 86_400
# The key of these is in the name, and says everything of who calls; a token may say more than whose it is, so it is in the name itself.
_WHOLE: Final[frozenset[Mode]] = frozenset({"auth_token", "basic_auth_user", "hmac_key"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class Entry(NamedTuple):
    """Whose answers are kept, and how. path: a pattern."""

    path: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: each with its entries. everywhere: for all other paths, None = not kept. named: fields by which answers differ, in lower
    case.
    """

    versions: tuple[tuple[Version, tuple[Entry, ...]], ...]
    everywhere: Rule | None
    named: tuple[bytes, ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read what is kept; None when nothing is."""
    own = reader.object("cache_options", field_names.CACHE_OPTIONS)
    enabled, everywhere, by_upstream = (
        own.flag(one) for one in ("enable_cache", "cache_all_safe_requests", "enable_upstream_cache_control")
    )
    timeout = own.integer("cache_timeout", high=_LONGEST)
    ttl_field = own.text("cache_control_ttl_header") or TTL_FIELD
    by_headers = check_each(own, own.texts("cache_by_headers"), _name)
    if not values.TOKEN.fullmatch(ttl_field):
        own.mistake("cache_control_ttl_header", "must be a header name")
    usual = Rule(timeout, _codes(own) or USUAL_CODES, by_upstream, ttl_field.lower().encode("latin-1", "replace"))
    versions = tuple((one.version, tuple(_entries(one, usual))) for one in reader.versions)
    if not enabled or not (everywhere or any(entries for _, entries in versions)):
        return None
    named = {*by_headers, *_credentials(reader.definition)}
    return Spec(versions, usual if everywhere else None, tuple(sorted(named - set(ALWAYS_NAMED))))


def _name(text: str) -> bytes:
    if not values.TOKEN.fullmatch(text):
        raise ValueError(f"`{text[:50]}` is not a header name")
    return text.lower().encode("ascii")


def _codes(reader: Reader) -> frozenset[int]:
    found = set()
    for code, pointer in reader.items("cache_response_codes"):
        if isinstance(code, int) and 200 <= code <= 599:
            found.add(code)
        else:
            reader.report.add(pointer, "must be a status code from 200 to 599")
    return frozenset(found - NEVER_KEPT)


def _credentials(definition: Definition) -> Iterator[bytes]:
    """Yield the fields of what proves who calls, unless the key says all of it."""
    whole = {way.places.header.lower() for mode, way in definition.ways.items() if mode in _WHOLE}
    others = {way.places.header.lower() for mode, way in definition.ways.items() if mode not in _WHOLE}
    for name in (others | {"authorization"}) - whole:
        if name:
            yield name.encode("latin-1")


def _entries(version: VersionReader, usual: Rule) -> Iterator[Entry]:
    for entry in version.entries("advance_cache_config"):
        entry.text("cache_key_regex")
        if version.method(entry) not in ("", "GET"):
            entry.mistake("method", "only answers to GET are kept, and HEAD is answered from them: write GET, or take the entry out")
        timeout = entry.integer("timeout", high=_LONGEST) or usual.timeout
        yield Entry(version.path(entry), usual._replace(timeout=timeout, codes=_codes(entry) or usual.codes))
    for path, pointer in version.paths.texts("cache"):
        version.check_pattern(path, pointer)
        yield Entry(path, usual)


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of what keeps nothing."""
    own = reader.object("cache_options", field_names.CACHE_OPTIONS)
    entries = {one: one.entries("advance_cache_config") for one in reader.versions}
    lists = [one.paths.at(name) for one in reader.versions for name in ("advance_cache_config", "cache") if one.paths.value(name)]
    if not own.flag("enable_cache"):
        yield from (Mistake(pointer, "keeps nothing without cache_options.enable_cache") for pointer in lists)
        if own.flag("cache_all_safe_requests"):
            yield Mistake(own.at("cache_all_safe_requests"), "keeps nothing without enable_cache")
        return
    asked = own.flag("cache_all_safe_requests") or bool(lists)
    by_upstream = own.flag("enable_upstream_cache_control")
    if by_upstream and not asked:
        yield Mistake(own.at("enable_upstream_cache_control"), "keeps nothing without cache_all_safe_requests or a list of paths")
    own_times = all(entry.integer("timeout") for listed in entries.values() for entry in listed)
    others = own.flag("cache_all_safe_requests") or any(one.paths.value("cache") for one in reader.versions)
    if asked and not by_upstream and not own.integer("cache_timeout") and (others or not own_times):
        yield Mistake(own.at("cache_timeout"), "0 seconds: nothing is kept")
    for version, listed in entries.items():
        yield from version.never_deciding(listed)
        for entry in listed:
            if entry.text("cache_key_regex"):
                yield Mistake(entry.at("cache_key_regex"), "has no effect: requests with a body are not answered from the cache")


def build(spec: Spec, ports: Ports) -> Cache:
    """Build, for each version, a table of its endpoints."""
    tables = {version.name: _table(version, entries, spec.everywhere) for version, entries in spec.versions}
    return Cache(tables, spec.named, ports)


def _table(version: Version, entries: Sequence[Entry], everywhere: Rule | None) -> EndpointTable[Rule | None]:
    endpoints: list[Endpoint[Rule | None]] = [
        Endpoint(translate(entry.path, version.path_matching, version.ignore_endpoint_case), None, entry.rule) for entry in entries
    ]
    return EndpointTable(endpoints, default=everywhere)


class Cache:
    """Answers from the store, or adds to `exchange.answer_copies`."""

    __slots__ = ("_named", "_now", "_store", "_tables")

    def __init__(self, tables: dict[str, EndpointTable[Rule | None]], named: tuple[bytes, ...], ports: Ports) -> None:
        self._tables = tables
        self._named = (*ALWAYS_NAMED, *named)
        self._now = ports.now
        self._store: AnswerStore = ports.answers

    def on_request(self, exchange: Exchange) -> Reply | Awaitable[Reply | None] | None:
        if exchange.method not in ("GET", "HEAD"):
            return None
        rule = self._rule(exchange)
        if rule is None or exchange.body_length or exchange.body or exchange.upgrade:
            return None
        asked = exchange.section.memo.get(self) or self._read(exchange)
        if asked.bypass or (asked.authorized and exchange.key is None):
            return None
        if exchange.upstream_method is not None and exchange.upstream_method != exchange.method:
            return None
        assert exchange.api is not None
        name = name_of(exchange, asked)
        found = self._store.find(exchange.api.api_id, name)
        if type(found) is tuple:
            return self._decide(exchange, rule, asked, name, found)
        return self._decide_later(exchange, rule, asked, name, found)  # type: ignore[arg-type]  # what is no tuple is to be awaited

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        """Forget what a change of the same caller has made old (RFC 9111, 4.4)."""
        if exchange.method in _SAFE or head.status >= 400 or self._rule(exchange) is None:
            return
        assert exchange.api is not None
        asked = exchange.section.memo.get(self) or self._read(exchange)
        self._store.forget(exchange.api.api_id, name_of(exchange, asked))

    def _rule(self, exchange: Exchange) -> Rule | None:
        table = self._tables.get(exchange.version_name)
        return None if table is None else table.find("GET", exchange.relative)

    def _decide(
        self, exchange: Exchange, rule: Rule, asked: Asked, name: bytes, found: Found, varying: Varying | None = None
    ) -> Reply | Awaitable[Reply | None] | None:
        """Answer with what was found, or take a copy of the upstream's answer. varying: what was found before, under the first name."""
        kept, mark = found
        if isinstance(kept, Varying):
            if varying is None:
                assert exchange.api is not None
                again = self._store.find(exchange.api.api_id, variant_of(exchange, name, kept))
                if type(again) is tuple:
                    return self._decide(exchange, rule, asked, name, again, kept)
                return self._decide_later(exchange, rule, asked, name, again, kept)  # type: ignore[arg-type]
        elif kept is not None:
            age = max(self._now() - kept.made, 0.0)
            if age <= asked.youngest:
                self._store.hits += 1
                return reply_of(exchange, asked, kept, age)
        self._store.misses += 1
        if exchange.method == "GET" and mark is not None:
            assert exchange.api is not None
            exchange.answer_copies = (
                *exchange.answer_copies,
                Copy(self._store, exchange.api.api_id, rule, name, varying, mark, self._now()),
            )
        return None

    async def _decide_later(
        self, exchange: Exchange, rule: Rule, asked: Asked, name: bytes, finding: Awaitable[Found], varying: Varying | None = None
    ) -> Reply | None:
        decided = self._decide(exchange, rule, asked, name, await finding, varying)
        return decided if decided is None or isinstance(decided, Reply) else await decided

    def _read(self, exchange: Exchange) -> Asked:
        """Read the fields of a request, once for all requests of a connection that repeat them."""
        asked = read(exchange.section, self._named)
        exchange.section.remember(self, asked)
        return asked
