"""Where the OAuth2 endpoints meet the data plane: reads a request from its connection and has it answered in a thread.

Two threads answer for a worker. Whoever finds too many waiting is told to come again, and so is whoever waits too long.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from services.common import logging as logs
from services.gateway import client_faults
from services.gateway.exchange import Exchange, Reply
from services.gateway.oauth.endpoints import AUTHORIZE, AUTHORIZE_CLIENT, Endpoints, Sent
from services.gateway.operator_key import is_operator_key
from services.gateway.refusals import OAUTH_BUSY, OAUTH_METHOD, OAUTH_OPERATOR_KEY_WRONG, OAUTH_UNAVAILABLE, Refusal
from services.gateway.stores.sealing import WrongMasterKey
from services.gateway.threads import Threads
from services.gateway.wire.bodies import BadBody, BodyTooLarge
from services.gateway.wire.connection import Connection, TimedOut
from services.gateway.wire.pace import Limits
from services.gateway.wire.reading import body_of, read_whole

log = logs.get(__name__)

LARGEST: Final = 64 * 1024  # bytes of a body
_BODY_LIMITS: Final = Limits(10.0, 30.0, 1024)
_AT_ONCE: Final = 2
MOST_WAITING: Final = 64
ANSWERED_WITHIN: Final = 30.0
_RETRY: Final = ((b"Retry-After", b"1"),)


class OAuthDoor:
    """One for each worker."""

    def __init__(self, endpoints: Endpoints, operator_key: str, *, within: float = ANSWERED_WITHIN, most: int = MOST_WAITING) -> None:
        self._endpoints = endpoints
        self._operator_key = operator_key
        self._within = within
        self._most = most
        self._threads = Threads(_AT_ONCE, "oauth")
        self._waiting = 0

    async def answer(self, endpoint: str, exchange: Exchange, connection: Connection) -> Reply:
        """Answer a request to an endpoint of its API. Raises Refusal."""
        methods = ("GET", "POST") if endpoint == AUTHORIZE else ("POST",)
        if exchange.method not in methods:
            raise Refusal(OAUTH_METHOD, headers=[(b"Allow", ", ".join(methods).encode())])
        if endpoint == AUTHORIZE_CLIENT and not is_operator_key(exchange.fields.get(b"x-tyk-authorization", b""), self._operator_key):
            raise Refusal(OAUTH_OPERATOR_KEY_WRONG)
        self._check_room()
        body = await self._body(exchange, connection)
        self._check_room()
        authorization = exchange.fields.get(b"authorization", b"").decode("latin-1")
        return await self._in_thread(endpoint, exchange, Sent(exchange.method, exchange.query, authorization, body))

    def _check_room(self) -> None:
        if self._waiting >= self._most:
            raise Refusal(OAUTH_BUSY, headers=_RETRY)

    async def _in_thread(self, endpoint: str, exchange: Exchange, sent: Sent) -> Reply:
        loop = asyncio.get_running_loop()
        self._waiting += 1
        future = self._threads.submit(self._endpoints.answer, endpoint, exchange.api, sent)
        future.add_done_callback(lambda _: self._tell_left(loop))
        answer = asyncio.wrap_future(future)
        try:
            await asyncio.wait({answer}, timeout=self._within)  # from Python 3.12 on `wait_for` is for tasks only (wire/driving.py)
            if not answer.done():
                raise TimeoutError
            return answer.result()
        except (SQLAlchemyError, OSError, WrongMasterKey) as error:  # TimeoutError is an OSError
            late = isinstance(error, TimeoutError) and not _ended(future)
            log.error("OAuth2 request failed", endpoint=endpoint, error=type(error).__name__)
            raise Refusal(OAUTH_BUSY if late else OAUTH_UNAVAILABLE, headers=_RETRY) from None
        finally:
            answer.cancel()

    def _tell_left(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the worker has ended
            loop.call_soon_threadsafe(self._left)

    def _left(self) -> None:
        self._waiting -= 1

    @staticmethod
    async def _body(exchange: Exchange, connection: Connection) -> bytes:
        """Read the body of a POST. Raises Refusal."""
        if exchange.method != "POST" or not exchange.body_length:
            return b""
        try:
            body = body_of(exchange.body_length, LARGEST)
            return b"".join(await read_whole(connection, body, _BODY_LIMITS, expects=exchange.expects))
        except BodyTooLarge as error:
            raise client_faults.of_body(error, LARGEST) from None
        except (BadBody, TimedOut) as error:
            raise client_faults.of_body(error) from None


def _ended(future: Future[Reply]) -> bool:
    return future.done() and not future.cancelled()
