"""Sends requests to upstreams and waits for the heads of their answers: one retry where it is safe, another target where one is away."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

from services.gateway.exchange import CompiledApi, Exchange, Target, Timeouts
from services.gateway.forwarding import faults
from services.gateway.forwarding.request_heads import RequestHeads
from services.gateway.refusals import UPSTREAM_BROKEN, UPSTREAM_KEY_WRONG, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE, Refusal
from services.gateway.wire.balancing import Origin
from services.gateway.wire.bodies import BadBody, Body, BodyTooLarge, ChunkedBody, LengthBody
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.connection import Closed, TimedOut
from services.gateway.wire.heads.grammar import LARGEST_KEPT, Incomplete
from services.gateway.wire.heads.responses import BadAnswer, parse_response
from services.gateway.wire.heads.responses import ResponseHead as UpstreamHead
from services.gateway.wire.pace import Limits
from services.gateway.wire.reading import CONTINUE, read_head
from services.gateway.wire.sockets import NEVER
from services.gateway.wire.upstream_connection import UpstreamConnection
from services.gateway.wire.upstreams import Unreachable, Upstreams, name_of

_CONTINUE_AFTER: Final = 0.25
_MOST_INTERIM_HEADS: Final = 20
# RFC 9110, 9.2.2, and of WebDAV those that only read (IANA's registry of methods).
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PROPFIND", "REPORT", "SEARCH"})

_OF_UPSTREAMS: Final = frozenset({UPSTREAM_BROKEN, UPSTREAM_KEY_WRONG, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE})


class UpstreamRequests:
    """The requests of one worker. body_limits: how long the body of a request may take to come in."""

    __slots__ = ("_body_limits", "_heads", "_upstreams")

    def __init__(self, upstreams: Upstreams, heads: RequestHeads, body_limits: Limits) -> None:
        self._upstreams = upstreams
        self._heads = heads
        self._body_limits = body_limits

    def send_at_once(self, client: ClientConnection, exchange: Exchange, api: CompiledApi) -> UpstreamConnection | None:
        """Send a request without a body on a connection that waits for one, and return it; None where there is more to do.

        The answer is still to come, and nobody waits for it yet: `send` goes on from here.
        """
        if exchange.upgrade or api.routes is not None or len(api.targets) > 1:
            return None
        target = exchange.target or api.targets[0]
        upstream = self._upstreams.take(target.origin)
        if upstream is None:
            return None
        if upstream.absolute is not None or upstream.buffer or upstream.broken:
            self._upstreams.give(upstream)
            return None
        timeouts = exchange.timeouts or api.timeouts
        exchange.asked = perf_counter()
        exchange.upstream = upstream.peer
        upstream.idle_timeout = timeouts.idle
        try:
            upstream.write(self._heads.write(client, exchange, api, target))
        except BaseException:
            upstream.close()
            raise
        upstream.deadline = client.sockets.now + timeouts.first_byte
        if upstream.paused:
            upstream.resume()
        return upstream

    async def send(
        self,
        client: ClientConnection,
        exchange: Exchange,
        api: CompiledApi,
        timeouts: Timeouts,
        payload: bytes | None = None,
        sent: UpstreamConnection | None = None,
    ) -> tuple[UpstreamConnection, UpstreamHead]:
        """Send a request; return the connection and the first head that came back. payload: its body, when it is at hand. sent: the
        connection on which `send_at_once` has sent it, and where something has come.

        Raises Refusal.
        """
        if exchange.outcome is not None:
            return await self._send_and_tell(client, exchange, api, timeouts, payload, sent)
        targets = api.targets if exchange.target is None else (exchange.target,)
        target = targets[0] if len(targets) == 1 else self._upstreams.choose(api.balancing)
        upstream = sent or self._upstreams.take(target.origin, None if api.routes is None else api.routes.of(target.host))
        if upstream is not None and upstream.absolute is not None and exchange.upgrade:  # a proxy would not pass it on
            self._upstreams.give(upstream)
            upstream = None
        reused = upstream is not None
        if sent is None:
            exchange.asked = perf_counter()
        while True:
            if upstream is None:
                upstream, target = await self._connect(exchange, api, targets, target, timeouts)
            timer = None
            try:
                if exchange.body_length and payload is None:
                    request = self._begin(upstream, client, exchange, api, target, timeouts)
                    timer = self._start_body(client, upstream, exchange, api, request, timeouts.first_byte)
                    answer = await read_head(upstream, parse_response)
                    upstream.first_byte = 0.0
                else:
                    if upstream is not sent:
                        request = self._begin(upstream, client, exchange, api, target, timeouts)
                        upstream.write(request + payload if payload else request)
                        upstream.deadline = client.sockets.now + timeouts.first_byte
                    # As `read_head`, written out: it saves 0.4 µs of each answer. A new connection may have said something, or be gone,
                    # before anybody listened.
                    if not upstream.buffer and not upstream.broken:
                        if upstream.paused:
                            upstream.resume()
                        await upstream.arrived
                    if upstream.broken:
                        upstream.raise_fault()
                    whole = True
                    try:
                        answer = parse_response(upstream.buffer, upstream.answer)
                    except Incomplete:
                        whole = False
                    if not whole:
                        answer = await read_head(upstream, parse_response)
                exchange.first_byte = perf_counter()
                upstream.deadline = NEVER
                upstream.answer = answer if answer.consumed <= LARGEST_KEPT else None
                return upstream, answer
            except Closed:
                broken = bool(upstream.buffer)
                upstream.close()
                safe = not exchange.body_length and not payload and (exchange.upstream_method or exchange.method) in _IDEMPOTENT
                if not reused or not safe or broken:
                    raise faults.broken(upstream, exchange) from None
            except (BadAnswer, TimedOut, BadBody, BodyTooLarge) as error:
                upstream.close()
                raise faults.no_answer(error, client, upstream, exchange, timeouts) from None
            except BaseException:
                upstream.close()
                raise
            finally:
                if timer is not None:
                    timer.cancel()
            upstream, reused = None, False  # once more, on a new connection

    def _begin(
        self,
        upstream: UpstreamConnection,
        client: ClientConnection,
        exchange: Exchange,
        api: CompiledApi,
        target: Target,
        timeouts: Timeouts,
    ) -> bytes:
        """Return the head that is to be sent on a connection."""
        exchange.upstream = upstream.peer
        upstream.idle_timeout = timeouts.idle
        head = self._heads.write(client, exchange, api, target)
        return head if upstream.absolute is None else upstream.absolute.of(head)

    async def _send_and_tell(
        self,
        client: ClientConnection,
        exchange: Exchange,
        api: CompiledApi,
        timeouts: Timeouts,
        payload: bytes | None,
        sent: UpstreamConnection | None,
    ) -> tuple[UpstreamConnection, UpstreamHead]:
        """As `send`; then tell who asked for it how that ended. An interim answer leaves it to `next_head`."""
        outcome, exchange.outcome = exchange.outcome, None
        assert outcome is not None
        try:
            upstream, answer = await self.send(client, exchange, api, timeouts, payload, sent)
        except Refusal as refusal:
            if refusal.kind in _OF_UPSTREAMS:
                outcome(exchange, 0)
            raise
        if answer.status >= 200 or answer.status == 101:
            outcome(exchange, answer.status)
        else:
            exchange.outcome = outcome
        return upstream, answer

    def _start_body(
        self,
        client: ClientConnection,
        upstream: UpstreamConnection,
        exchange: Exchange,
        api: CompiledApi,
        request: bytes,
        first_byte: float,
    ) -> asyncio.TimerHandle | None:
        """Begin to move the client's body, after the head; return the timer that gives a waiting client leave to send."""
        upstream.first_byte = first_byte
        length = exchange.body_length
        body: Body = ChunkedBody(True, api.body_limit, api.pass_trailers) if length < 0 else LengthBody(length)
        client.limit_body(self._body_limits)
        client.start_pipe(upstream, body, request)
        if not exchange.expects or body.done:
            return None
        return client.sockets.loop.call_later(_CONTINUE_AFTER, _continue, client, body)

    async def _connect(
        self, exchange: Exchange, api: CompiledApi, targets: tuple[Target, ...], target: Target, timeouts: Timeouts
    ) -> tuple[UpstreamConnection, Target]:
        """Connect to the target, or when it cannot be reached to each of the others in turn. Raises Refusal."""
        tried: set[Origin] = set()
        while True:
            try:
                exchange.upstream = name_of(target.origin)
                begun = perf_counter()
                route = None if api.routes is None else api.routes.of(target.host)
                upstream = await self._upstreams.connect(target.origin, timeouts.connect, route, tunnel=exchange.upgrade)
                exchange.connecting = perf_counter() - begun
                return upstream, target
            except TimeoutError:
                refusal = faults.no_connection(exchange, target, timeouts)
            except Unreachable as error:
                refusal = faults.unreachable(exchange, target, error)
            tried.add(target.origin)
            if all(other.origin in tried for other in targets):
                break
            self._upstreams.eject(target)
            target = self._upstreams.choose(api.balancing, tried)
        raise refusal

    async def next_head(
        self, client: ClientConnection, upstream: UpstreamConnection, exchange: Exchange, timeouts: Timeouts, interim: int
    ) -> UpstreamHead:
        """Wait for the head after an interim one, for which the upstream has all its time again. interim: how many there were.

        Raises Refusal.
        """
        if exchange.outcome is None:
            return await self._next_head(client, upstream, exchange, timeouts, interim)
        try:
            answer = await self._next_head(client, upstream, exchange, timeouts, interim)
        except Refusal as refusal:
            if refusal.kind in _OF_UPSTREAMS:
                exchange.outcome(exchange, 0)
            raise
        if answer.status >= 200 or answer.status == 101:
            exchange.outcome(exchange, answer.status)
        return answer

    async def _next_head(
        self, client: ClientConnection, upstream: UpstreamConnection, exchange: Exchange, timeouts: Timeouts, interim: int
    ) -> UpstreamHead:
        if client.sink is None:
            upstream.deadline = client.sockets.now + timeouts.first_byte
        else:
            upstream.first_byte = timeouts.first_byte
        try:
            answer = await read_head(upstream, parse_response)
        except Closed:
            raise Refusal(UPSTREAM_BROKEN) from None
        except (BadAnswer, TimedOut, BadBody, BodyTooLarge) as error:
            raise faults.no_answer(error, client, upstream, exchange, timeouts) from None
        upstream.first_byte = 0.0
        upstream.deadline = NEVER
        if answer.status < 200 and interim >= _MOST_INTERIM_HEADS:
            raise Refusal(UPSTREAM_BROKEN, detail=f"The upstream sent more than {_MOST_INTERIM_HEADS} interim answers.")
        return answer


def _continue(client: ClientConnection, body: Body) -> None:
    """Give the client leave to send: with an upstream that does not know `Expect` it would wait for ever."""
    if not client.answered and isinstance(body, LengthBody | ChunkedBody) and not body.done:
        client.write(CONTINUE)
