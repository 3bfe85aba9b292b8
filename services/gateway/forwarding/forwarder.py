"""Forwards a decided request to its upstream, and the answer back: bodies are piped, small ones read first; tunnels."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Final

from services.common.addresses import AddressSet
from services.gateway import client_faults
from services.gateway.exchange import AnswerCopy, AnswerTransform, CompiledApi, Exchange, ResponseHead, Timeouts
from services.gateway.forwarding.request_bodies import MANY, RequestBodies
from services.gateway.forwarding.request_heads import RequestHeads, TracedHeads
from services.gateway.forwarding.upstream_requests import UpstreamRequests
from services.gateway.forwarding.whole_answers import BODILESS, changed_head, read_answer, transformed, written
from services.gateway.observe.tracing import Tracing
from services.gateway.refusals import BODIES_BUSY, TOO_MANY_FROM_ADDRESS, UPSTREAM_BROKEN, UPSTREAM_TOO_LARGE, Refusal
from services.gateway.routing.shares import Shares
from services.gateway.settings import Settings
from services.gateway.wire.bodies import BadBody, Body, BodyTooLarge, Budget, ChunkedBody, CloseBody, CopiedBody, LengthBody, Tunnel
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.connection import Closed, TimedOut
from services.gateway.wire.heads.grammar import LARGEST_KEPT, Header, Incomplete
from services.gateway.wire.heads.responses import BadAnswer, parse_response
from services.gateway.wire.heads.responses import ResponseHead as UpstreamHead
from services.gateway.wire.pace import Limits
from services.gateway.wire.reading import read_whole
from services.gateway.wire.sockets import NEVER
from services.gateway.wire.upstream_connection import UpstreamConnection
from services.gateway.wire.upstreams import Upstreams

BODY_TIMEOUT: Final = 60.0
TUNNEL_TIMEOUT: Final = 3600.0
# A body up to this size is read before its request is forwarded: a slow client holds only its own connection.
_SMALL_BODY: Final = 64 * 1024
# Bytes on the wire of the same body when each byte is sent in a chunk of its own.
_SMALL_FRAMED: Final = 8 * _SMALL_BODY


class Forwarder:
    """Forwards the requests of one worker. tracing: None = it is off."""

    __slots__ = ("_largest_answer", "_requests", "_uploads", "_upstreams", "bodies", "body_limits", "send_at_once", "stopping", "trusted")

    def __init__(self, upstreams: Upstreams, settings: Settings, tracing: Tracing | None = None) -> None:
        self._upstreams = upstreams
        self.trusted = AddressSet(settings.trusted_proxies)
        self._uploads = Shares(settings.max_uploads_per_address, self.trusted)
        self.body_limits = Limits(BODY_TIMEOUT, settings.body_timeout, settings.body_least_rate)
        self.bodies = RequestBodies(self.body_limits, self._uploads, settings.body_read_limit)
        self._largest_answer = settings.body_read_limit
        heads = RequestHeads(self.trusted) if tracing is None else TracedHeads(self.trusted, tracing)
        self._requests = UpstreamRequests(upstreams, heads, self.body_limits)
        self.send_at_once = self._requests.send_at_once
        self.stopping = False

    async def forward_with_body(
        self, client: ClientConnection, exchange: Exchange, api: CompiledApi, old: bool, close: bool
    ) -> tuple[int, bool]:
        """As `forward`, for a request with a body: a small one is read first unless a stage has read it, any other is streamed."""
        if exchange.body is not None:
            return await self.forward(client, exchange, api, old, close, exchange.body)
        length = exchange.body_length
        all_small = api.body_limit is not None and api.body_limit <= _SMALL_BODY
        body: Body | None = None
        budget: Budget | None = None
        if exchange.expects and not all_small:
            pass  # the upstream may refuse it before it is sent
        elif 0 < length <= _SMALL_BODY:
            body = LengthBody(length)
        elif length < 0 and all_small:
            body, budget = ChunkedBody(True, api.body_limit, api.pass_trailers), Budget(_SMALL_FRAMED)
        if body is not None:
            if exchange.expects:
                exchange.drop_header(b"expect")
            try:
                payload = b"".join(await read_whole(client, body, self.body_limits, budget, expects=exchange.expects))
            except (BadBody, BodyTooLarge, TimedOut) as error:
                raise client_faults.of_body(error) from None
            return await self.forward(client, exchange, api, old, close, payload)
        if not self._uploads.enter(exchange.client):
            raise Refusal(TOO_MANY_FROM_ADDRESS, detail=MANY)
        try:
            return await self.forward(client, exchange, api, old, close)
        finally:
            self._uploads.leave(exchange.client)

    def pass_on(self, client: ClientConnection, upstream: UpstreamConnection, exchange: Exchange, api: CompiledApi) -> int:
        """Pass an answer on that is here as a whole, and return its status; 0 for any other, which is left alone.

        Not for clients of HTTP/1.0, nor where the client's connection is to end.
        """
        if upstream.broken or self.stopping or exchange.answer_transforms or exchange.answer_copies:
            return 0
        buffer = upstream.buffer
        try:
            answer = parse_response(buffer, upstream.answer)
        except (Incomplete, BadAnswer):
            return 0
        status, _, fields, consumed, left, _, ends, _, via, _, line, _ = answer
        if consumed > LARGEST_KEPT:
            return 0
        upstream.answer = answer
        if len(buffer) - consumed != left or status < 200 or status == 204 or status == 304 or exchange.method == "HEAD":
            return 0
        if api.answer_stages:
            asked = (exchange.method, exchange.relative, exchange.version_name)
            known = upstream.memo
            if known is None or known[0] is not answer or known[1] is not api or known[2] != asked:
                known = (answer, api, asked, *_changed(answer, exchange, api))
                upstream.memo = known if api.steady_answers else None
            changed, line, fields = known[3:]
            if changed != status:
                return 0
        exchange.first_byte = perf_counter()
        upstream.deadline = NEVER
        upstream.buffer = b""
        # Joined rather than formatted: it takes a third of the time.
        client.write(
            b"".join((
                line, fields, exchange.limits, b"X-Request-Id: ", exchange.request_id.encode("ascii"), b"\r\nVia: ", via,
                b"1.1 gatehouse\r\n\r\n", buffer[consumed:],
            ))
        )  # fmt: skip
        if ends:
            self._upstreams.end(upstream, told=answer.close)
        else:
            self._upstreams.give(upstream)
        if exchange.outcome is not None:
            exchange.outcome(exchange, status)
        return status

    async def forward(
        self,
        client: ClientConnection,
        exchange: Exchange,
        api: CompiledApi,
        old: bool,
        close: bool,
        payload: bytes | None = None,
        sent: UpstreamConnection | None = None,
    ) -> tuple[int, bool]:
        """Forward a request and its answer; return (status, whether the client's connection ends).

        old: the client speaks HTTP/1.0. payload: the body, when it is at hand. sent: the connection on which the request was sent already,
        and where something has come. Raises Refusal as long as no byte of an answer has gone out, Closed afterwards.
        """
        timeouts = exchange.timeouts or api.timeouts
        upstream, answer = await self._requests.send(client, exchange, api, timeouts, payload, sent)
        reusable = False
        interim = 0
        try:
            while answer.status < 200:
                interim += 1
                upstream.take(answer.consumed)
                if answer.status == 101:
                    return await self._tunnel(client, upstream, exchange, answer)
                if not old:
                    client.write(b"HTTP/1.1 %d %b\r\n%b\r\n" % (answer.status, answer.reason, answer.fields))
                    if client.full:
                        await self._taken(client, upstream)
                answer = await self._requests.next_head(client, upstream, exchange, timeouts, interim)
            copies: Sequence[AnswerCopy] = ()
            if api.answer_stages or exchange.answer_transforms or exchange.answer_copies:
                changed, transforms = changed_head(answer, exchange, api)
                if transforms:
                    close = close or self.stopping or client.sink is not None
                    whole = await self._forward_whole(client, upstream, exchange, timeouts, answer, changed, transforms, old, close)
                    reusable = whole and client.sink is None  # an upload that goes on has left its request unfinished there
                    return changed.status, close
                answer = answer._replace(status=changed.status, reason=changed.reason, fields=written(changed.headers))
                copies = [one for one in exchange.answer_copies if one.wants(exchange, changed)]
            status, reason, fields, consumed, left, chunked, ends, _, via, *_ = answer
            framing = b""
            if exchange.method == "HEAD" or status == 304 or status == 204:
                ends = ends or (status == 204 and exchange.method != "HEAD" and (left > 0 or chunked))
                left = 0
            elif left < 0:
                ends = ends or not chunked
                if old:
                    close = True
                else:
                    framing = b"Transfer-Encoding: chunked\r\n"
            if close or self.stopping or client.sink is not None:
                close = True  # what is left of a request that was answered early has no meaning any more
                framing += b"Connection: close\r\n"
            elif old:
                framing += b"Connection: keep-alive\r\n"
            head = b"HTTP/1.1 %d %b\r\n%b%b%bX-Request-Id: %b\r\nVia: %b1.1 gatehouse\r\n\r\n" % (
                status, reason, fields, exchange.limits, framing, exchange.request_id.encode("ascii"), via,
            )  # fmt: skip
            data = upstream.buffer[consumed:]
            if len(data) == left:  # the usual small answer: one write
                upstream.buffer = b""
                client.write(head + data)
                for copy in copies:
                    if left <= copy.most:
                        copy.take(exchange, changed, data)
            else:
                upstream.buffer = data
                client.answered = True
                body: Body
                if left >= 0:
                    body = LengthBody(left)
                else:
                    framed = not old and not copies
                    body = ChunkedBody(framed, None, api.pass_trailers) if chunked else CloseBody(framed)
                if copies:
                    body = CopiedBody(body, max(one.most for one in copies), left < 0 and not old)
                await _pipe(upstream, client, body, head)
                client.answered = False
                copied = body.copy() if isinstance(body, CopiedBody) else None
                for copy in copies:
                    if copied is not None and len(copied) <= copy.most:
                        copy.take(exchange, changed, copied)
            reusable = not ends and client.sink is None
            return status, close
        finally:
            if client.sink is not None or client.source is not None or upstream.sink is not None or upstream.source is not None:
                _part(client, upstream)
            if reusable:
                self._upstreams.give(upstream)
            else:
                self._upstreams.end(upstream, told=answer.close)

    async def fetch(
        self, client: ClientConnection, exchange: Exchange, api: CompiledApi, payload: bytes, budget: Budget
    ) -> tuple[int, list[Header], bytes | None]:
        """Send a request whose body is at hand; return (status, headers, body, or None when the budget was too small for it).

        Raises Refusal.
        """
        timeouts = exchange.timeouts or api.timeouts
        upstream, answer = await self._requests.send(client, exchange, api, timeouts, payload)
        reusable = False
        try:
            interim = 0
            while answer.status < 200 and answer.status != 101:
                interim += 1
                upstream.take(answer.consumed)
                answer = await self._requests.next_head(client, upstream, exchange, timeouts, interim)
            if answer.status == 101:
                raise Refusal(UPSTREAM_BROKEN, detail="The upstream switched protocols unasked.")
            head, transforms = changed_head(answer, exchange, api)
            if not budget.spend(answer.consumed):
                return head.status, [*head.headers, *exchange.answer_headers], None
            data, reusable = await read_answer(upstream, answer, exchange, timeouts, budget)
            if transforms or exchange.answer_copies:
                data = await transformed(transforms, exchange.answer_copies, exchange, head, data)
            return head.status, [*head.headers, *exchange.answer_headers], data
        except BodyTooLarge:
            return head.status, [*head.headers, *exchange.answer_headers], None
        finally:
            if reusable:
                self._upstreams.give(upstream)
            else:
                self._upstreams.end(upstream, told=answer.close)

    async def _forward_whole(
        self,
        client: ClientConnection,
        upstream: UpstreamConnection,
        exchange: Exchange,
        timeouts: Timeouts,
        answer: UpstreamHead,
        head: ResponseHead,
        transforms: list[AnswerTransform],
        old: bool,
        close: bool,
    ) -> bool:
        """Read an answer, let stages change it, and write it; return whether the upstream's connection can be used again.

        Raises Refusal.
        """
        budget = Budget(self._largest_answer, self.bodies.room)
        try:
            try:
                body, reusable = await read_answer(upstream, answer, exchange, timeouts, budget)
            except BodyTooLarge:
                raise Refusal(BODIES_BUSY if budget.crowded else UPSTREAM_TOO_LARGE) from None
            body = await transformed(transforms, exchange.answer_copies, exchange, head, body)
            framing = b"Connection: close\r\n" if close else b"Connection: keep-alive\r\n" if old else b""
            lines = b"HTTP/1.1 %d %b\r\n%b%b%bX-Request-Id: %b\r\nVia: %b1.1 gatehouse\r\n\r\n" % (
                head.status, head.reason, written(head.headers), exchange.limits, framing,
                exchange.request_id.encode("ascii"), answer.via,
            )  # fmt: skip
            client.write(lines if exchange.method == "HEAD" or head.status in BODILESS else lines + body)
            return reusable
        finally:
            budget.give_all_back()

    @staticmethod
    async def _taken(client: ClientConnection, upstream: UpstreamConnection) -> None:
        """Wait until the client has taken what was written to it. Raises Closed."""
        upstream.pause()
        await client.drained()
        if client.lost:
            raise Closed

    async def _tunnel(
        self, client: ClientConnection, upstream: UpstreamConnection, exchange: Exchange, answer: UpstreamHead
    ) -> tuple[int, bool]:
        """Move bytes both ways after a switch of protocols, until one side ends."""
        if not exchange.upgrade:
            raise Refusal(UPSTREAM_BROKEN, detail="The upstream switched protocols unasked.")
        switch = b"HTTP/1.1 101 %b\r\nConnection: Upgrade\r\nUpgrade: %b\r\n%bX-Request-Id: %b\r\n\r\n" % (
            answer.reason, answer.upgrade, answer.fields, exchange.request_id.encode("ascii"),
        )  # fmt: skip
        client.answered = True
        client.idle_timeout = upstream.idle_timeout = TUNNEL_TIMEOUT
        client.start_pipe(upstream, Tunnel())
        upstream.start_pipe(client, Tunnel(), switch)
        try:
            await upstream.finish_pipe()
        except (TimedOut, Closed):
            pass
        except asyncio.CancelledError:
            if not client.lost:
                raise
            # A client that leaves is an ordinary end of a tunnel.
        client.break_pipe()
        return 101, True


def _changed(answer: UpstreamHead, exchange: Exchange, api: CompiledApi) -> tuple[int, bytes, bytes]:
    """Return what a head comes to by the answer stages: (status, its line, fields)."""
    head, _ = changed_head(answer, exchange, api)
    return head.status, b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason), written(head.headers)


async def _pipe(upstream: UpstreamConnection, client: ClientConnection, body: Body, head: bytes) -> None:
    """Move an answer whose body is not all here. Raises Closed when it breaks off."""
    try:
        if not upstream.start_pipe(client, body, head):
            await upstream.finish_pipe()
    except (BadBody, BodyTooLarge, TimedOut) as error:
        # The client must not take half an answer for a whole one.
        if client.sink is None:
            client.transport.abort()
        raise Closed(error if isinstance(error, TimedOut) else None) from error


def _part(client: ClientConnection, upstream: UpstreamConnection) -> None:
    client.source = upstream.source = None
    client.break_pipe()
    upstream.break_pipe()
