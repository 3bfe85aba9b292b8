"""Asks another API of the gateway where a definition names one by `tyk://` in place of an upstream (middleware/looping.py).

The request goes through the other chain as an exchange of its own, in this process. The one of the client is what is answered and logged.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Final

from services.common.remembered import Remembered
from services.gateway import client_faults
from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.exchange import (
    BATCH_PATH,
    AnswerCopy,
    AnswerTransform,
    CompiledApi,
    Exchange,
    HandedOver,
    Looped,
    Reply,
    ResponseHead,
    Stage,
)
from services.gateway.judge import check_readings
from services.gateway.live import Live, Snapshot
from services.gateway.refusals import BAD_PATH, DEFINITION_BROKEN, LOOP_LIMIT, LOOP_UNKNOWN, NOT_FOUND, Refusal, counted
from services.gateway.routing.listen_paths import owned_length
from services.gateway.routing.paths import slash_readings
from services.gateway.wire.heads.faults import BadRequest
from services.gateway.wire.heads.requests import HeaderSection

MOST: Final = 5
# As of what a client may send.
_LONGEST: Final = 16 * 1024
_PREFIX: Final = b"X-Forwarded-Prefix"
# Stages by their modules. What the first API has done for its organisation and for browsers, and what closes paths to clients:
_FROM_OUTSIDE: Final = frozenset({"organisation", "cors", "internal_paths", "oauth_endpoints"})
_AUTHENTICATION: Final = frozenset({
    "oauth", "basic_auth", "hmac_signature", "jwt", "openid", "custom_auth", "certificate_key", "auth_key",
})  # fmt: skip
_LIMITS: Final = frozenset({"rate_limit", "quota"})
# Tyk leaves out what stands behind a `#`, and compares letters and digits.
_CATEGORIES: Final = re.compile(r"\s*#.*", re.DOTALL)
_NO_LETTERS: Final = re.compile(r"[^A-Za-z0-9]+")


class Loops:
    """One for each worker."""

    __slots__ = ("_limited", "_live", "_names", "_stages")

    def __init__(self, live: Live) -> None:
        self._live = live
        # Made of the loaded set once somebody is looked for by name.
        self._names: tuple[Snapshot | None, dict[tuple[str, str], CompiledApi | None]] = (None, {})
        self._limited: Remembered[tuple[CompiledApi, CompiledApi], CompiledApi] = Remembered(256)
        self._stages: Remembered[CompiledApi, dict[Stage, str]] = Remembered(256)

    async def follow(self, exchange: Exchange, looped: Looped) -> tuple[Exchange, Reply | None]:
        """Send a request from API to API; return it as the last one sends it to its upstream, or the answer of one of them.

        Raises Refusal. `exchange.inner` is the one that was judged last.
        """
        inner, most, loops = exchange, 0, 0
        try:
            while True:
                options = looped.target.loop
                assert options is not None
                most = most or options.limit
                loops += 1
                if loops > (most or MOST):
                    said = f"Loop level too deep. Found more than {counted(most or MOST, 'loop')} in single request"
                    raise Refusal(LOOP_LIMIT, message=said)
                outer = inner
                inner = _entered(outer, self._find(outer, looped.target.host), looped)
                self._limit_body(inner, outer)
                exchange.inner = inner
                reply = await self._judge(inner, own=looped.target.host == "self", check_limits=options.check_limits)
                if not isinstance(reply, Looped):
                    break
                looped = reply
        finally:
            _announce(exchange)
        if isinstance(reply, HandedOver):
            raise Refusal(NOT_FOUND)
        if reply is None:
            _prepare(inner, exchange)
        return inner, reply

    def _find(self, exchange: Exchange, name: str) -> CompiledApi:
        """Find an API of the same organisation by its api_id, its id or its name. Raises Refusal."""
        asking = exchange.api
        assert asking is not None
        if name == "self":
            return asking
        snapshot = self._live.current
        found = snapshot.apis.get(name)
        if found is None and name in snapshot.loaded and snapshot.loaded[name].state == "served":
            found = snapshot.loaded[name].api
        if found is None and name in snapshot.broken:
            raise Refusal(DEFINITION_BROKEN)
        owner = asking.org_id or DEFAULT_ORG
        if found is None:
            if self._names[0] is not snapshot:
                self._names = (snapshot, _by_name(snapshot))
            found = self._names[1].get((owner, loop_name(name))) if loop_name(name) else None
        if found is None or (found.org_id or DEFAULT_ORG) != owner:
            raise Refusal(LOOP_UNKNOWN, detail=f"`{name}` is not the id, nor the name of just one, of the APIs of the same organisation.")
        return found

    def _limit_body(self, inner: Exchange, outer: Exchange) -> None:
        """Let a body that is streamed be no larger than both APIs allow."""
        api, asking = inner.api, outer.api
        assert api is not None
        assert asking is not None
        most = asking.body_limit
        if inner.body_length >= 0 or most is None or (api.body_limit is not None and api.body_limit <= most):
            return
        limited = self._limited.get((asking, api))
        inner.api = limited or self._limited.keep((asking, api), replace(api, body_limit=most))

    async def _judge(self, exchange: Exchange, *, own: bool, check_limits: bool) -> Reply | None:
        """Run the chain of an API for a request that comes from another one. own: from the same one. Raises Refusal."""
        api = exchange.api
        assert api is not None
        if "%" in exchange.path:
            check_readings(slash_readings(exchange.path), api)
        if api.batch and exchange.relative == BATCH_PATH:
            raise Refusal(NOT_FOUND)
        left_out = set(_FROM_OUTSIDE)
        if not check_limits:
            left_out |= _LIMITS
        if own and exchange.key is not None:
            left_out |= _AUTHENTICATION
        modules = self._stages.get(api)
        if modules is None:
            modules = self._stages.keep(api, {stage: _module(stage) for stage in (*api.open_stages, *api.closing_stages)})
        for stages in (api.open_stages, None):
            for stage in stages or (api.late_stages if exchange.ignored else api.closing_stages):
                if modules[stage] not in left_out:
                    answer = stage(exchange)
                    if answer is not None:
                        reply = answer if isinstance(answer, Reply) else await answer
                        if reply is not None:
                            return reply
        return None


def settle(exchange: Exchange) -> None:
    """Note on the exchange of the client what the log tells of the last API that was asked."""
    inner = exchange.inner
    if inner is not None:
        exchange.asked, exchange.first_byte, exchange.connecting = inner.asked, inner.first_byte, inner.connecting
        exchange.upstream, exchange.limit = inner.upstream, inner.limit
        exchange.refused = exchange.refused or inner.refused
        exchange.trace = exchange.trace or inner.trace
        exchange.upstream_method = inner.upstream_method
        if exchange.key is None:
            exchange.key = inner.key


def _entered(outer: Exchange, api: CompiledApi, looped: Looped) -> Exchange:
    """Return a request as another API gets it. Raises Refusal."""
    asking, target = outer.api, looped.target
    assert asking is not None
    assert target.loop is not None
    below = outer.upstream_path
    if below is None:
        below = (outer.path[owned_length(asking, outer.path) :] if asking.strip_listen_path else outer.path) or "/"
    relative = target.path + below
    query = outer.query if outer.upstream_query is None else outer.upstream_query
    query = "&".join(filter(None, (target.query, query)))
    listen_path = api.listen_path[:-1].replace("{", "%7B").replace("}", "%7D")
    if len(relative) + len(query) > _LONGEST:
        raise Refusal(BAD_PATH, detail=f"The path and query are longer than {_LONGEST} characters when they are sent on.")
    section = outer.section
    if outer.drop_headers or outer.set_headers or outer.varying_headers:
        host = section.authority
        lines = outer.sent_headers() if host is None else [(b"Host", host), *outer.sent_headers()]
        try:
            section = HeaderSection.of(lines)
        except BadRequest as error:
            raise client_faults.of_head(error) from None
    method = target.loop.method or outer.upstream_method or outer.method
    inner = Exchange(method, listen_path + relative, query, section, outer.peer, outer.client, outer.request_id, outer.started)
    inner.api, inner.outer = api, outer
    inner.relative = relative
    inner.host, inner.secure, inner.certificate = outer.host, outer.secure, outer.certificate
    inner.upgrade, inner.minor, inner.trace = outer.upgrade, outer.minor, outer.trace
    inner.expects = outer.expects and outer.body is None
    inner.body = outer.body
    inner.body_length = outer.body_length if outer.body is None else len(outer.body)
    if outer.body_reader is not None:
        inner.body_reader = _reader(outer, inner)
    if api is asking:
        inner.key, inner.further_keys, inner.presented_key = outer.key, outer.further_keys, outer.presented_key
        inner.claims = outer.claims
    prefix = _prefix(outer, asking)
    inner.drop_header(_PREFIX.lower())
    if prefix:
        inner.set_header(_PREFIX, prefix)
    return inner


def _reader(outer: Exchange, inner: Exchange) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        body = await outer.read_body()
        if inner.expects:
            inner.drop_header(b"expect")
        return body

    return read


def _prefix(outer: Exchange, asking: CompiledApi) -> bytes:
    """Return what the client's paths begin with and the upstream's do not."""
    if outer.outer is not None:
        return next((value for name, value in outer.set_headers or () if name == _PREFIX), b"")
    return outer.path[: owned_length(asking, outer.path)].encode("latin-1") if asking.strip_listen_path else b""


def _outers(exchange: Exchange) -> Iterator[Exchange]:
    """Yield those that sent a request on, the last one first."""
    outer = exchange.outer
    while outer is not None:
        yield outer
        outer = outer.outer


def _announce(exchange: Exchange) -> None:
    """Let the answer say what all APIs say of limits; of one name, what the last one says that has a key."""
    inner = exchange.inner
    if inner is None:
        return
    said, limits = set[bytes](), b""
    chain = (inner, *_outers(inner))
    # Those without a key say zeros of its quota, as in Tyk.
    for one in sorted(chain, key=lambda one: one.key is None):
        lines = [(line.partition(b":")[0].lower(), line) for line in one.limits.split(b"\r\n") if line]
        limits = b"".join(line + b"\r\n" for name, line in lines if name not in said) + limits
        said.update(name for name, _ in lines)
    exchange.limits = inner.limits = limits


def _prepare(inner: Exchange, exchange: Exchange) -> None:
    """Make a request ready for its upstream: the answer is the client's, and all APIs that sent it on may change it."""
    outers = list(_outers(inner))
    inner.upstream_method = inner.upstream_method or inner.method
    inner.method = exchange.method
    if inner.timeouts is None:
        inner.timeouts = next((outer.timeouts for outer in outers if outer.timeouts is not None), None)
    heads = "HEAD" in (inner.method, inner.upstream_method) and inner.method != inner.upstream_method
    inner.answer_transforms = (*inner.answer_transforms, *(_OfOuter(outer, heads) for outer in outers))
    inner.answer_copies = (*inner.answer_copies, *(_CopyOfOuter(outer, copy) for outer in outers for copy in outer.answer_copies))
    told = [outer for outer in outers if outer.outcome is not None]
    if told:
        own = inner.outcome

        def outcome(asked: Exchange, status: int) -> None:
            if own is not None:
                own(asked, status)
            for outer in told:
                if outer.outcome is not None:
                    outer.outcome(outer, status)

        inner.outcome = outcome


class _OfOuter:
    """What an API that sent a request on changes of bodies. whole: whether the answer is read as a whole in any case.

    Who wanted to change it once does, whatever a stage has made of the head since.
    """

    __slots__ = ("_outer", "_wanted", "_whole")

    def __init__(self, outer: Exchange, whole: bool) -> None:
        self._outer = outer
        self._wanted: list[AnswerTransform] = []
        self._whole = whole

    def wants(self, exchange: Exchange, head: ResponseHead) -> bool:
        self._wanted += [one for one in self._outer.answer_transforms if one not in self._wanted and one.wants(self._outer, head)]
        return self._whole or bool(self._wanted)

    async def transform(self, exchange: Exchange, head: ResponseHead, body: bytes) -> bytes:
        transforms: tuple[AnswerTransform, ...] = self._outer.answer_transforms
        for one in transforms:
            if one in self._wanted or one.wants(self._outer, head):
                made = one.transform(self._outer, head, body)
                body = made if isinstance(made, bytes) else await made
        return body


class _CopyOfOuter:
    """A copy of an answer for an API that sent the request on."""

    __slots__ = ("_copy", "_outer", "most")

    def __init__(self, outer: Exchange, copy: AnswerCopy) -> None:
        self._outer = outer
        self._copy = copy
        self.most = copy.most

    def wants(self, exchange: Exchange, head: ResponseHead) -> bool:
        return self._copy.wants(self._outer, head)

    def take(self, exchange: Exchange, head: ResponseHead, body: bytes) -> None:
        self._copy.take(self._outer, head, body)


def _module(stage: Stage) -> str:
    owner = getattr(stage, "__self__", None)
    return "" if owner is None else type(owner).__module__.rpartition(".")[2]


def loop_name(name: str) -> str:
    """Return a name as it is compared in `tyk://`."""
    return _NO_LETTERS.sub("", _CATEGORIES.sub("", name)).lower()


def _by_name(snapshot: Snapshot) -> dict[tuple[str, str], CompiledApi | None]:
    """Return APIs by owner and name, None where several have it."""
    found: dict[tuple[str, str], CompiledApi | None] = {}
    for api in snapshot.apis.values():
        place = (api.org_id or DEFAULT_ORG, loop_name(api.name))
        found[place] = None if place in found else api
    return found
