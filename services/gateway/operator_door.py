"""One connection to the operator port: the same strict heads, every request answered by the Flask application, in a thread.

Health checks need no store, and no thread that may be waiting for one: `/health` and `/hello` are answered on the
event loop (0.1 ms), `/metrics` in a thread of its own (5 ms when every call has been made once).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, Final

from services.common import logging as logs
from services.gateway import client_faults
from services.gateway.exchange import Reply
from services.gateway.operator_key import access_key_hash, given_in, is_operator_key
from services.gateway.refusals import BAD_HOST, INTERNAL_ERROR, OVERLOADED, Refusal
from services.gateway.rendering import render_early
from services.gateway.threads import Threads
from services.gateway.wire import wsgi
from services.gateway.wire.bodies import BadBody, BodyTooLarge
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.connection import Closed, TimedOut
from services.gateway.wire.heads.faults import BadRequest
from services.gateway.wire.heads.requests import HeaderSection, parse_request
from services.gateway.wire.pace import Limits
from services.gateway.wire.reading import body_of, read_head, read_whole
from services.gateway.wire.replies import reply_bytes
from services.gateway.wire.sockets import NEVER
from services.gateway.wiring import Gateway

log = logs.get(__name__)

BODY_LIMIT: Final = 10 * 1024 * 1024  # bytes; the application has the same
_KEEPALIVE: Final = 30.0
_TIMEOUT: Final = 15.0
_BODY_LIMITS: Final = Limits(_TIMEOUT, 120.0, 1024)
_MOST_CONNECTIONS: Final = 512
_AT_ONCE: Final = frozenset({b"/health", b"/hello"})
_METRICS: Final = b"/metrics"


class OperatorDoor:
    """Answers the connections of the operator port."""

    def __init__(self, gateway: Gateway, application: wsgi.Application, threads: Executor) -> None:
        self._gateway = gateway
        self._application = application
        self._threads = threads
        self._metrics = Threads(1, "metrics")
        self._server = (gateway.settings.operator_bind.host, gateway.settings.operator_bind.port)
        self.open: set[ClientConnection] = set()
        self.stopping = False

    async def serve(self, connection: ClientConnection) -> None:
        """Answer one connection, from its first request to its end."""
        if len(self.open) >= _MOST_CONNECTIONS:
            self._make_room()
        self.open.add(connection)
        try:
            connection.idle_timeout = _TIMEOUT
            if len(self.open) > _MOST_CONNECTIONS:
                raise Refusal(OVERLOADED, headers=((b"Retry-After", b"1"),))
            while await self._request(connection):
                if connection.full:
                    await connection.drained()
                if connection.buffer:  # more requests wait, and so do others: one a turn
                    await asyncio.sleep(0)
        except (Refusal, BadRequest) as error:
            refusal = client_faults.of_head(error) if isinstance(error, BadRequest) else error
            reply = render_early(refusal, self._gateway.request_ids.next())
            connection.write(reply_bytes(reply, "", True, 1))
            connection.linger()
        except (Closed, TimedOut, asyncio.CancelledError):
            pass
        except Exception:
            log.exception("operator request failed")
            reply = render_early(Refusal(INTERNAL_ERROR), self._gateway.request_ids.next())
            connection.write(reply_bytes(reply, "", True, 1))
        finally:
            connection.driver = None
            self.open.discard(connection)
            if not connection.discarding:
                connection.close()

    def _make_room(self) -> None:
        """Close the connection that has waited longest for a request: a probe must get in beside any number of idle ones."""
        idle = [one for one in self.open if one.idle and not one.buffer]
        if idle:
            longest = min(idle, key=lambda one: one.deadline)
            self.open.discard(longest)
            longest.close()

    def begin_stop(self) -> None:
        self.stopping = True

    def close_idle(self) -> None:
        for connection in list(self.open):
            if connection.idle and not connection.buffer:
                connection.close()

    async def _request(self, connection: ClientConnection) -> bool:
        connection.idle = True
        connection.deadline = connection.sockets.now + _KEEPALIVE
        method, target, minor, section, size = await read_head(connection, parse_request, _TIMEOUT)
        connection.idle = False
        connection.deadline = NEVER
        connection.take(size)
        if section.host is None and minor:
            raise Refusal(BAD_HOST)
        # The body of a stranger is not read: the answer of the application does not depend on it.
        unread = section.length != 0 and not await self._is_known(section)
        body = b"" if unread else await self._body(connection, section, bool(minor))
        request = wsgi.environ(method, target.decode("latin-1"), section.headers, body, connection.peer, self._server, secure=False)
        reply = await self._answer(connection, target.partition(b"?")[0], request)
        close = self.stopping or unread or section.close or (not minor and section.close is None)
        connection.write(reply_bytes(reply, method, close, minor))
        if unread:
            connection.linger()
        return not close

    async def _answer(self, connection: ClientConnection, path: bytes, request: dict[str, Any]) -> Reply:
        if path in _AT_ONCE:
            return Reply(*wsgi.answer_here(self._application, request))
        threads = self._metrics if path == _METRICS else self._threads
        return Reply(*await wsgi.answer(connection, self._application, threads, request))

    async def _is_known(self, section: HeaderSection) -> bool:
        """Whether a request brings the operator key, or the access key of an operator; the application judges where it belongs."""
        key = self._gateway.operator_key
        given = [given_in(section.value(name) or b"") for name in (b"x-tyk-authorization", b"authorization")]
        if any(is_operator_key(one, key) for one in given):
            return True
        keys = [one for one in given if access_key_hash(one) is not None]
        return bool(keys) and await asyncio.get_running_loop().run_in_executor(self._threads, self._is_of_operator, keys)

    def _is_of_operator(self, keys: Sequence[bytes]) -> bool:
        """Look access keys up. When the store is away, nobody is known: the application says so without the body."""
        try:
            return any(self._gateway.operators.by_key(one) is not None for one in keys)
        except Exception as error:
            log.warning("access key not looked up", error=type(error).__name__)
            return False

    @staticmethod
    async def _body(connection: ClientConnection, section: HeaderSection, may_wait: bool) -> bytes:
        """Read the body. may_wait: whether the client may wait for leave to send it; in HTTP/1.0 it may not (RFC 9110, 10.1.1)."""
        try:
            body = body_of(section.length, BODY_LIMIT)
            return b"".join(await read_whole(connection, body, _BODY_LIMITS, expects=may_wait and section.expects))
        except (BadBody, BodyTooLarge, TimedOut) as error:
            raise client_faults.of_body(error) from None
