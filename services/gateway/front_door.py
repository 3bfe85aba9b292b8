"""One client connection, top to bottom: head, owner, chain, upstream, answer, next head.

One coroutine for each connection reads straight down; it waits only for sockets and, where a rule must ask somebody, for that answer.
It is driven by its sockets (wire/driving.py): what arrives is looked at in the same turn of the loop.
Whoever refuses raises a Refusal; it is rendered here, once. When the client goes away the coroutine is cancelled, and with it the
upstream call; one that has sent its next request already is not read meanwhile, so that its end is noticed with the answer.
"""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import Final

from services.common import logging as logs
from services.gateway import client_faults
from services.gateway.batch.batches import Batches
from services.gateway.exchange import BATCH_PATH, Exchange, HandedOver, Looped, Reply
from services.gateway.forwarding.forwarder import Forwarder
from services.gateway.loops import Loops, settle
from services.gateway.oauth.door import OAuthDoor
from services.gateway.observe.tallies import Tallies
from services.gateway.refusals import (
    BAD_HOST,
    INTERNAL_ERROR,
    OVERLOADED,
    PLAIN_HTTP,
    REQUEST_TIMEOUT,
    TOO_MANY_FROM_ADDRESS,
    UPSTREAM_BROKEN,
    UPSTREAM_TIMEOUT,
    Refusal,
    RefusalKind,
)
from services.gateway.rendering import render_early
from services.gateway.request_ids import RequestIds
from services.gateway.routing.client_address import client_address
from services.gateway.routing.paths import canonical
from services.gateway.routing.shares import Shares, group_of
from services.gateway.wire.bodies import LengthBody
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.connection import Closed, TimedOut
from services.gateway.wire.heads.faults import BadRequest
from services.gateway.wire.heads.grammar import LARGEST_KEPT, Incomplete
from services.gateway.wire.heads.requests import HeaderSection, parse_request
from services.gateway.wire.heads.unreadable import seems_to_ask
from services.gateway.wire.reading import read_head, read_whole
from services.gateway.wire.replies import reply_bytes
from services.gateway.wire.sockets import NEVER
from services.gateway.wiring import Gateway

log = logs.get(__name__)

HEAD_TIMEOUT: Final = 15.0
# Above this share of the limit, new connections make room: idle ones of the address that has most are closed, this share at a time.
_NEARLY_FULL: Final = 0.9
_ROOM: Final = 0.05
# This many connections beyond the limit are told that there are too many, and this many clients that the port speaks TLS.
_TOLD: Final = 64
# In the access log only, as nginx writes it: the client went away before its answer was complete.
CLIENT_GONE: Final = 499
# An unwanted body up to this size is read to its end; the connection of a larger one is closed.
_WORTH_READING: Final = 256 * 1024
# What services/common/request_id.py accepts.
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}").fullmatch


class FrontDoor:
    """Answers the connections of the public port."""

    def __init__(self, gateway: Gateway, forwarder: Forwarder, *, secure: bool) -> None:
        self._gateway = gateway
        self._judge = gateway.judge
        self._forwarder = forwarder
        self._secure = secure
        self._client_address = client_address(gateway.settings.trusted_proxies)
        self._trusted = forwarder.trusted
        self._trusts_any = bool(forwarder.trusted)
        self._keepalive = gateway.settings.keepalive_timeout
        self._limit = gateway.max_connections
        self._near = int(self._limit * _NEARLY_FULL)
        self._made_room = 0.0
        most = gateway.settings.max_connections_per_address
        self._connections = Shares(most, self._trusted)
        self._under_way = Shares(most, self._trusted)
        self._answer_one = self._answer_counted if self._trusts_any else self._answer
        self._tallies: Tallies = gateway.tallies
        self._request_ids: RequestIds = gateway.request_ids
        self._loops = Loops(gateway.live)
        self._batches = Batches(gateway.judge, self._loops, forwarder, gateway.tallies.answered)
        self._oauth = OAuthDoor(gateway.oauth, gateway.operator_key)
        self.open: set[ClientConnection] = set()
        self._turned_back: set[ClientConnection] = set()
        self.stopping = False

    async def serve(self, connection: ClientConnection) -> None:
        """Answer one connection, from its first request to its end."""
        if len(self.open) >= self._near:
            self._make_room(connection.sockets.now)
        if len(self.open) >= self._limit or not self._connections.enter(connection.peer):
            self._turn_away(connection)
            return
        self.open.add(connection)
        try:
            await self._requests(connection)
        except (Refusal, BadRequest) as error:  # the head could not be read: there is no exchange yet
            refusal = client_faults.of_head(error) if isinstance(error, BadRequest) else error
            self._write(connection, self._render_unread(connection, refusal), "", True, 1)
            self._log_early(connection, refusal.kind)
            connection.linger()
        except (Closed, asyncio.CancelledError):
            pass
        except TimedOut:
            if connection.buffer:
                self._write(connection, self._render_unread(connection, Refusal(REQUEST_TIMEOUT)), "", True, 1)
                self._log_early(connection, REQUEST_TIMEOUT)
        except Exception:
            log.exception("connection failed")
            self._write(connection, render_early(Refusal(INTERNAL_ERROR), self._request_ids.next()), "", True, 1)
            self._log_early(connection, INTERNAL_ERROR)
            connection.linger()
        finally:
            connection.driver = None
            self.open.discard(connection)
            self._connections.leave(connection.peer)
            if not connection.discarding:
                connection.close()

    def _render_unread(self, connection: ClientConnection, refusal: Refusal) -> Reply:
        """Render the answer to a head that could not be read, in the shape of the API that it seems to name."""
        return render_early(refusal, self._request_ids.next(), api=self._judge.owner(*seems_to_ask(connection.buffer)))

    def _make_room(self, now: float) -> None:
        """Close idle connections of the address that has most, those that have waited longest first; then those of others."""
        if now == self._made_room:  # once between two sweeps: it looks at all of them
            return
        self._made_room = now
        greediest = self._connections.greediest()
        idle = [one for one in self.open if one.idle and not one.buffer and one.peer not in self._trusted]
        idle.sort(key=lambda one: (group_of(one.peer) != greediest, one.deadline))
        for one in idle[: max(1, int(self._limit * _ROOM))]:
            one.close()

    def _turn_away(self, connection: ClientConnection) -> None:
        """Answer 503 at once when there are too many connections; drop the connection when there are far too many."""
        connection.driver = None
        if len(connection.sockets.connections) > 2 * self._limit + _TOLD:
            self._gateway.turned_away += 1
            connection.transport.abort()
            return
        refusal = Refusal(OVERLOADED, headers=((b"Retry-After", b"1"),))
        self._write(connection, render_early(refusal, self._request_ids.next()), "", True, 1)
        self._gateway.turned_away += 1
        connection.linger()

    async def turn_back(self, connection: ClientConnection) -> None:
        """Answer a client that speaks plain HTTP to the TLS port; its request is not read.

        It does not count for its address, so only a few may take their time to leave: the others are dropped.
        """
        connection.driver = None
        if len(self._turned_back) >= _TOLD:
            self._turned_back = {one for one in self._turned_back if not one.lost}
            if len(self._turned_back) >= _TOLD:
                connection.transport.abort()
                return
        self._turned_back.add(connection)
        self._write(connection, render_early(Refusal(PLAIN_HTTP), self._request_ids.next()), "", True, 1)
        self._log_early(connection, PLAIN_HTTP)
        connection.linger()

    def begin_stop(self) -> None:
        """Make every answer from now on the last one on its connection."""
        self.stopping = self._forwarder.stopping = True

    def close_idle(self) -> None:
        """Close the connections that wait for a request."""
        for connection in list(self.open):
            if connection.idle and not connection.buffer:
                connection.close()

    async def _requests(self, connection: ClientConnection) -> None:
        """Answer one request after the other, as long as the connection can be used."""
        while True:
            if not connection.buffer:
                connection.idle = True
                connection.deadline = connection.sockets.now + self._keepalive
                # As `Connection.more`, written out: it saves 0.13 µs of each request.
                if connection.paused:
                    connection.resume()
                if not connection.broken:
                    await connection.arrived
                if connection.broken:
                    connection.raise_fault()
            whole = True
            try:
                method, target, minor, section, size = parse_request(connection.buffer, connection.section)
            except Incomplete:
                whole = False
            if not whole:
                method, target, minor, section, size = await read_head(connection, parse_request, HEAD_TIMEOUT)
            connection.idle = False
            connection.deadline = NEVER
            connection.body = None
            if section is not connection.section:
                connection.section = section if len(section.raw) <= LARGEST_KEPT else None
            if section.host is None and (minor or target[:1] != b"/"):
                raise Refusal(BAD_HOST)
            known, path, query = section.place
            if known is not target:
                path, query = canonical(target if target[0] == 47 else self._origin_form(target, section))
                section.remember_place(target, path, query)
            if size == len(connection.buffer):  # taken only now: what is refused above is looked at again, for its API
                connection.buffer = b""
            else:
                connection.take(size)
            exchange = Exchange(
                method,
                path,
                query,
                section,
                connection.peer,
                connection.client or self._client(connection, section),
                self._request_ids.next(),
                perf_counter(),
            )
            if self._secure:
                exchange.secure = True
                if connection.certificate is not None:
                    exchange.certificate = connection.certificate
            if self._trusts_any and b"x-request-id" in section.layout.places:
                self._take_over_request_id(exchange)
            if section.plain and minor:
                ended = await self._answer_one(connection, exchange, False, False)
            else:
                ended = await self._answer_unusual(connection, exchange, minor)
            if ended:
                return
            del exchange, known, target, path, query  # an idle connection keeps nothing of its last request but its fields
            if connection.full:
                await connection.drained()
            if connection.buffer:  # more requests wait, and so do others: one a turn
                await asyncio.sleep(0)
                if connection.lost:
                    return

    def _client(self, connection: ClientConnection, section: HeaderSection) -> str:
        """Return the address that the rules apply to: the peer, or the client that a trusted proxy names."""
        client = self._client_address(connection.peer, section.headers)
        if not self._trusts_any:
            connection.client = client
        return client

    def _take_over_request_id(self, exchange: Exchange) -> None:
        """Take the request id that a trusted proxy has given."""
        given = exchange.fields[b"x-request-id"]
        if exchange.peer in self._trusted and _REQUEST_ID(given):
            exchange.request_id = given.decode("ascii")

    async def _answer_unusual(self, connection: ClientConnection, exchange: Exchange, minor: int) -> bool:
        """As `_answer`, for a request of HTTP/1.0, or one whose fields speak of a body, the connection or another protocol."""
        section = exchange.section
        if not minor:
            exchange.minor = 0
        elif section.upgrade:
            exchange.upgrade = True
        if section.expects:
            if minor:
                exchange.expects = True
            else:  # it means nothing there (RFC 9110, 10.1.1)
                exchange.drop_headers = {b"expect"}
        close = section.close is True if minor else section.close is not False
        answer = self._answer_one if not section.length else self._answer_with_body
        return await answer(connection, exchange, not minor, close)

    async def _answer_counted(self, connection: ClientConnection, exchange: Exchange, old: bool, close: bool) -> bool:
        """As `_answer`, for connections that may carry requests of many clients."""
        client = exchange.client
        if not self._under_way.enter(client):
            return await self._reply(connection, exchange, self._judge.refused(exchange, Refusal(TOO_MANY_FROM_ADDRESS)), old, close)
        try:
            return await self._answer(connection, exchange, old, close)
        finally:
            self._under_way.leave(client)

    async def _answer_with_body(self, connection: ClientConnection, exchange: Exchange, old: bool, close: bool) -> bool:
        """As `_answer`, for a request whose body a stage may read."""
        bodies = self._forwarder.bodies
        bodies.offer(connection, exchange)
        try:
            return await self._answer_one(connection, exchange, old, close)
        finally:
            bodies.release(exchange)

    async def _answer(self, connection: ClientConnection, exchange: Exchange, old: bool, close: bool) -> bool:
        """Answer one request. True when the connection must not be used again."""
        sent = connection.sent
        reply: Reply | None
        try:
            decided = self._judge.decide(exchange)
            if decided is not None and not isinstance(decided, Reply):
                decided = await decided
            reply = decided
            if reply is None:
                api = exchange.api
                assert api is not None
                if not api.batch or exchange.relative != BATCH_PATH:
                    if exchange.body_length or exchange.body is not None:
                        status, close = await self._forwarder.forward_with_body(connection, exchange, api, old, close)
                    else:
                        upstream = self._forwarder.send_at_once(connection, exchange, api)
                        status = 0
                        if upstream is not None:
                            try:
                                await upstream.arrived
                                if not close and not old:
                                    status = self._forwarder.pass_on(connection, upstream, exchange, api)
                            except BaseException:
                                upstream.close()
                                raise
                        if not status:
                            status, close = await self._forwarder.forward(connection, exchange, api, old, close, sent=upstream)
                    self._tallies.answered(exchange, status, connection.sent - sent, connection.body)
                    if connection.body is not None and not connection.body.done:
                        connection.linger()
                        return True
                    return close
                reply = await self._batches.answer(exchange, connection)
            elif isinstance(reply, HandedOver):
                reply = await self._oauth.answer(reply.endpoint, exchange, connection)
            elif isinstance(reply, Looped):
                answered = await self._answer_looped(connection, exchange, reply, old, close)
                if isinstance(answered, bool):
                    return answered
                reply = answered
            exchange.complete(reply)
        except Refusal as refusal:
            reply = self._judge.refused(exchange, refusal)
            close = close or refusal.kind.closes
        except (Closed, asyncio.CancelledError) as error:
            late = error.late if isinstance(error, Closed) else None
            if connection.lost or (late is not None and late.connection is connection):
                self._tallies.answered(exchange, CLIENT_GONE, connection.sent - sent, connection.body)
            else:  # the upstream broke off in the middle of its answer: the client must see that, too
                kind = UPSTREAM_BROKEN if late is None else UPSTREAM_TIMEOUT
                exchange.refused = kind.code
                if late is not None:
                    exchange.upstream, exchange.limit = late.connection.peer, "idle"
                self._tallies.answered(exchange, kind.status, connection.sent - sent, connection.body)
            raise
        except Exception:
            log.exception("request failed", request_id=exchange.request_id)
            reply = self._judge.refused(exchange, Refusal(INTERNAL_ERROR))
            close = True
        if connection.answered:  # part of an answer has gone out; another one would be taken for its body
            self._tallies.answered(exchange, reply.status, connection.sent - sent, connection.body)
            return True
        return await self._reply(connection, exchange, reply, old, close)

    async def _answer_looped(
        self, connection: ClientConnection, exchange: Exchange, looped: Looped, old: bool, close: bool
    ) -> Reply | bool:
        """Ask other APIs: return the answer of one of them, or, when an upstream's has gone out, whether the connection has ended."""
        sent = connection.sent
        try:
            inner, reply = await self._loops.follow(exchange, looped)
            if reply is not None:
                return reply
            assert inner.api is not None
            has_body = inner.body_length or inner.body is not None
            forward = self._forwarder.forward_with_body if has_body else self._forwarder.forward
            status, close = await forward(connection, inner, inner.api, old, close)
        finally:
            settle(exchange)
        self._tallies.answered(exchange, status, connection.sent - sent, connection.body)
        if connection.body is not None and not connection.body.done:
            connection.linger()
            return True
        return close

    async def _reply(self, connection: ClientConnection, exchange: Exchange, reply: Reply, old: bool, close: bool) -> bool:
        """Send an answer of the gateway itself. True when the connection must not be used again."""
        sent = connection.sent
        length = exchange.body_length
        # A short unread body is read to its end, so that the connection can stay; any other unread body ends it.
        unread = length != 0 and not (connection.body is not None and connection.body.done)
        skipped = unread and connection.body is None and 0 < length <= _WORTH_READING and not exchange.expects
        close = close or self.stopping or (unread and not skipped)
        self._write(connection, reply, exchange.method, close, 0 if old else 1)
        self._tallies.answered(exchange, reply.status, connection.sent - sent, connection.body)
        if unread and not close:
            await read_whole(connection, LengthBody(length), self._forwarder.body_limits)
        elif unread:
            connection.linger()
        return close

    def _write(self, connection: ClientConnection, reply: Reply, method: str, close: bool, minor_version: int) -> None:
        connection.write(reply_bytes(reply, method, close, minor_version))

    def _log_early(self, connection: ClientConnection, kind: RefusalKind) -> None:
        self._tallies.unreadable(kind.status, kind.code)
        self._gateway.access_log.write_early(connection.peer, kind.status, kind.code)

    @staticmethod
    def _origin_form(target: bytes, section: HeaderSection) -> bytes:
        """Return the origin form of an absolute target, which must name the same authority as Host (RFC 9112, 3.2.2)."""
        lower = target[:8].lower()
        start = 7 if lower.startswith(b"http://") else 8 if lower == b"https://" else 0
        if not start:
            return target  # `*`, or not a target at all: refused as a path
        rest = target[start:]
        cut = min((place for place in (rest.find(b"/"), rest.find(b"?")) if place >= 0), default=len(rest))
        authority, path = rest[:cut], rest[cut:]
        if authority.lower() != (section.authority or b"").lower():
            raise Refusal(BAD_HOST)
        return path if path[:1] == b"/" else b"/" + path
