"""One client connection, top to bottom: head, owner, chain, upstream, answer, next head.

One coroutine for each connection reads straight down; it waits only for sockets and, where a rule must ask somebody, for that answer.
Whoever refuses raises a Refusal; it is rendered here, once. When the client goes away the coroutine is cancelled, and with it the
upstream call.
"""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import TYPE_CHECKING, Final

from services.common import logging as logs
from services.gateway import batch
from services.gateway.exchange import Exchange, Reply
from services.gateway.forwarding import Forwarder
from services.gateway.refusals import (
    BAD_HOST,
    BODY_TOO_LARGE,
    EXPECTATION_FAILED,
    INTERNAL_ERROR,
    MALFORMED_REQUEST,
    NOT_FOUND,
    OVERLOADED,
    REQUEST_TIMEOUT,
    UPSTREAM_BROKEN,
    Refusal,
    RefusalKind,
    render,
    render_early,
)
from services.gateway.routing.client_address import client_address
from services.gateway.routing.listen_paths import relative_path
from services.gateway.routing.paths import canonical
from services.gateway.wire.bodies import BadBody, Body, BodyTooLarge, ChunkedBody, LengthBody
from services.gateway.wire.connection import NEVER, Closed, Connection, TimedOut
from services.gateway.wire.heads import parse_request
from services.gateway.wire.replies import reply_head

if TYPE_CHECKING:
    from services.gateway.wiring import Gateway

log = logs.get(__name__)

HEAD_TIMEOUT: Final = 15.0
BODY_TIMEOUT: Final = 60.0
# In the access log only, as nginx writes it: the client went away before its answer was complete.
CLIENT_GONE: Final = 499
# A body that nobody wants is read to its end up to this size; the connection of a larger one is closed.
_WORTH_READING: Final = 256 * 1024
_REMEMBERED_HOSTS: Final = 4096
_AUTHORITY: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::(\d{0,5}))?").fullmatch
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}").fullmatch


class FrontDoor:
    """Answers the connections of the public port."""

    def __init__(self, gateway: Gateway, forwarder: Forwarder, *, secure: bool) -> None:
        self._gateway = gateway
        self._live = gateway.live
        self._forwarder = forwarder
        self._secure = secure
        self._client_address = client_address(gateway.settings.trusted_proxies)
        self._trusted = forwarder.trusted
        self._keepalive = gateway.settings.keepalive_timeout
        self._limit = gateway.max_connections
        self.log = gateway.access_log.write
        self.next_request_id = gateway.next_request_id
        self._hosts: dict[bytes, str] = {}
        self.open: set[Connection] = set()
        self.stopping = False

    async def serve(self, connection: Connection) -> None:
        """The life of one connection."""
        if len(self.open) >= self._limit:
            self._turn_away(connection)
            return
        self.open.add(connection)
        try:
            while await self._request(connection):
                if connection.full:
                    await connection.drained()
        except Refusal as refusal:  # the head could not be read: there is no exchange yet
            self._write(connection, render_early(refusal, self.next_request_id()), "", True, 1)
            self._log_early(connection, refusal.kind)
            connection.linger()
        except (Closed, asyncio.CancelledError):
            pass
        except TimedOut:
            if connection.buffer:
                self._write(connection, render_early(Refusal(REQUEST_TIMEOUT), self.next_request_id()), "", True, 1)
                self._log_early(connection, REQUEST_TIMEOUT)
        except Exception:
            log.exception("connection failed")
            self._write(connection, render_early(Refusal(INTERNAL_ERROR), self.next_request_id()), "", True, 1)
            self._log_early(connection, INTERNAL_ERROR)
            connection.linger()
        finally:
            connection.task = None
            self.open.discard(connection)
            if not connection.discarding:
                connection.close()

    def _turn_away(self, connection: Connection) -> None:
        """503 at once, rather than silence, when there are too many connections."""
        connection.task = None
        refusal = Refusal(OVERLOADED, headers=((b"Retry-After", b"1"),))
        self._write(connection, render_early(refusal, self.next_request_id()), "", True, 1)
        self._gateway.turned_away += 1
        connection.linger()

    def begin_stop(self) -> None:
        """From now on every answer says that it is the last one on its connection."""
        self.stopping = self._forwarder.stopping = True

    def close_idle(self) -> None:
        """Closes the connections that wait for a request."""
        for connection in list(self.open):
            if connection.idle and not connection.buffer:
                connection.close()

    async def _request(self, connection: Connection) -> bool:
        """One request and its answer. True when the connection can be used again."""
        if not connection.buffer:
            connection.idle = True
            connection.deadline = connection.sockets.now + self._keepalive
        head, headers, fields = await connection.head(parse_request, HEAD_TIMEOUT)
        connection.idle = False
        connection.deadline = NEVER
        connection.take(head.consumed)
        connection.body = None
        started = perf_counter()
        sent = connection.sent
        old = head.minor_version == 0
        close = head.connection_close == 1 or (old and head.connection_close != 0)
        host = self._host(fields, head.path, old)
        target = head.path
        if target[0] != 47:
            target = self._origin_form(target, fields)
        path, query = canonical(target)
        length = -1 if head.has_chunked else max(head.content_length, 0)
        peer = connection.peer
        request_id = self.next_request_id()
        if self._trusted and b"x-request-id" in fields and peer in self._trusted and _REQUEST_ID(fields[b"x-request-id"]):
            request_id = fields[b"x-request-id"].decode("ascii")
        exchange = Exchange(
            head.method.decode("ascii"),
            path,
            query,
            host,
            headers,
            fields,
            peer,
            self._client_address(peer, headers),
            request_id,
            length,
            started,
            self._secure,
            b"upgrade" in fields and _asks_upgrade(fields, length, old),
        )
        reply: Reply | None
        answered_upstream = False
        status = 0
        try:
            reply = await self.decide(exchange)
            if reply is not None:
                reply.headers.append((b"X-Request-Id", request_id.encode("ascii")))
            else:
                api = exchange.api
                assert api is not None
                if api.batch and exchange.relative == batch.PATH:
                    reply = await self._batch(connection, exchange)
                    reply.headers.append((b"X-Request-Id", request_id.encode("ascii")))
                else:
                    answered_upstream = True
                    status, close = await self._forwarder.forward(connection, exchange, api, old, close)
        except Refusal as refusal:
            reply = self.refused(exchange, refusal)
            close = close or refusal.kind.closes
            answered_upstream = False
        except (Closed, asyncio.CancelledError):
            if connection.lost:
                self.log(exchange, CLIENT_GONE, connection.sent - sent)
            else:  # the upstream broke off in the middle of its answer: the client must see that, too
                exchange.refused = UPSTREAM_BROKEN.code
                self.log(exchange, UPSTREAM_BROKEN.status, connection.sent - sent)
            raise
        except Exception:
            log.exception("request failed", request_id=request_id)
            reply = self.refused(exchange, Refusal(INTERNAL_ERROR))
            close = True
        if answered_upstream:
            self.log(exchange, status, connection.sent - sent)
            if connection.body is not None and not connection.body.done:
                connection.linger()
                return False
            return not close
        assert reply is not None
        if connection.answered:  # part of an answer has gone out; another one would be taken for its body
            self.log(exchange, reply.status, connection.sent - sent)
            return False
        # A short body that nobody has touched is read to its end, so that the connection can stay; any other ends it.
        unread = length != 0 and not (connection.body is not None and connection.body.done)
        skipped = unread and connection.body is None and 0 < length <= _WORTH_READING and b"expect" not in fields
        close = close or self.stopping or (unread and not skipped)
        self._write(connection, reply, exchange.method, close, head.minor_version)
        self.log(exchange, reply.status, connection.sent - sent)
        if unread and not close:
            await connection.collect(LengthBody(length), _WORTH_READING)
        elif unread:
            connection.linger()
        return not close

    async def decide(self, exchange: Exchange) -> Reply | None:
        """Finds the owner and runs its chain: a reply, or None when the request goes to the upstream. Raises Refusal."""
        path = exchange.path
        api = self._live.current.paths.find(exchange.host, path)
        if path == "/hello" or path == "/hello/":
            return self._gateway.hello()
        if api is None:
            raise Refusal(NOT_FOUND)
        exchange.api = api
        exchange.relative = relative_path(api, path)
        if b"expect" in exchange.fields and exchange.fields[b"expect"].lower() != b"100-continue":
            raise Refusal(EXPECTATION_FAILED)
        if api.batch and exchange.relative == batch.PATH:
            return None  # its entries are judged one by one
        for stage in api.open_stages:
            answer = stage(exchange)
            if answer is not None:
                reply = answer if isinstance(answer, Reply) else await answer
                if reply is not None:
                    return reply
        if not exchange.ignored:
            for stage in api.keyed_stages:
                answer = stage(exchange)
                if answer is not None:
                    reply = answer if isinstance(answer, Reply) else await answer
                    if reply is not None:
                        return reply
        for stage in api.late_stages:
            answer = stage(exchange)
            if answer is not None:
                reply = answer if isinstance(answer, Reply) else await answer
                if reply is not None:
                    return reply
        return None

    def refused(self, exchange: Exchange, refusal: Refusal) -> Reply:
        """The answer to a refused request; those who asked to hear of it are told."""
        exchange.refused = refusal.kind.code
        if refusal.kind.event is not None and exchange.api is not None:
            self._gateway.events.refused(exchange, refusal)
        return render(refusal, exchange)

    async def _batch(self, connection: Connection, exchange: Exchange) -> Reply:
        body = await self.read_body(connection, exchange, batch.LARGEST)
        return await batch.answer(self, self._forwarder, exchange, body, connection)

    @staticmethod
    async def read_body(connection: Connection, exchange: Exchange, limit: int) -> bytes:
        """The body as a whole, for those who need it so. limit: bytes. Raises Refusal."""
        length = exchange.body_length
        if length > limit:
            raise Refusal(BODY_TOO_LARGE, detail=f"At most {limit} bytes are allowed here.")
        body: Body = ChunkedBody(False, limit) if length < 0 else LengthBody(length)
        connection.body = body
        connection.idle_timeout = BODY_TIMEOUT
        if b"expect" in exchange.fields and not connection.buffer and not body.done:
            connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            return await connection.collect(body, limit)
        except BadBody as error:
            raise Refusal(MALFORMED_REQUEST, detail=f"The body is malformed: {error}.") from None
        except BodyTooLarge:
            raise Refusal(BODY_TOO_LARGE, detail=f"At most {limit} bytes are allowed here.") from None
        except TimedOut:
            raise Refusal(REQUEST_TIMEOUT) from None

    def _write(self, connection: Connection, reply: Reply, method: str, close: bool, minor_version: int) -> None:
        head = reply_head(reply, close, minor_version)
        connection.write(head if method == "HEAD" or not reply.body else head + reply.body)

    def _log_early(self, connection: Connection, kind: RefusalKind) -> None:
        self._gateway.access_log.write_early(connection.peer, kind.status, kind.code)

    def _host(self, fields: dict[bytes, bytes], target: bytes, old: bool) -> str:
        """The host that was asked for: lower case, without port. Raises Refusal when it is missing or malformed."""
        value = fields.get(b"host")
        if value is None:
            if old and target[:1] == b"/":
                return ""
            raise Refusal(BAD_HOST)
        host = self._hosts.get(value)
        if host is None:
            found = _AUTHORITY(value)
            if found is None:
                raise Refusal(BAD_HOST)
            if len(self._hosts) >= _REMEMBERED_HOSTS:
                self._hosts.clear()
            host = self._hosts[value] = found[1].decode("ascii").lower().rstrip(".")
        return host

    @staticmethod
    def _origin_form(target: bytes, fields: dict[bytes, bytes]) -> bytes:
        """The origin form of an absolute target, which must name the same authority as Host (RFC 9112, 3.2.2)."""
        lower = target[:8].lower()
        start = 7 if lower.startswith(b"http://") else 8 if lower == b"https://" else 0
        if not start:
            return target  # `*` and what is no target at all: refused as a path
        rest = target[start:]
        cut = min((place for place in (rest.find(b"/"), rest.find(b"?")) if place >= 0), default=len(rest))
        authority, path = rest[:cut], rest[cut:]
        if authority.lower() != fields.get(b"host", b"").lower():
            raise Refusal(BAD_HOST)
        return path if path[:1] == b"/" else b"/" + path


def _asks_upgrade(fields: dict[bytes, bytes], length: int, old: bool) -> bool:
    """Whether to pass an upgrade on. HTTP/2 is none: behind it, requests would reach the upstream past every rule."""
    if old or length or b"upgrade" not in [token.strip() for token in fields.get(b"connection", b"").lower().split(b",")]:
        return False
    protocols = fields[b"upgrade"].lower()
    return b"h2c" not in protocols and b"http/" not in protocols
