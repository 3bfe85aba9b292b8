"""Connections to upstreams: made within a time limit, kept for the next request, chosen among several targets.

An idle connection on which anything arrives is closed: nothing was asked for. Targets that cannot be reached, or whose uptime tests fail,
are left out for a while, as long as there are others.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from services.common.addresses import host_port
from services.gateway.wire import connecting, tls
from services.gateway.wire.balancing import Balancing, Origin, T, Target
from services.gateway.wire.sockets import NEVER, Sockets
from services.gateway.wire.upstream_connection import Pool, UpstreamConnection

IDLE_TIMEOUT: Final = 50.0
_MOST_IDLE: Final = 256
_EJECTED_FOR: Final = 10.0
# Seconds after which an idle connection is not one of those that are always in use.
_RARELY_USED: Final = 0.5


class Unreachable(Exception):
    """No connection could be made. The text says why, without the address."""


class Upstreams:
    """The pools of a worker. load_tls: gives what verifies https targets; it is called for the first of them.

    down: hosts and ports whose uptime tests fail.
    """

    __slots__ = ("_ejected", "_load_tls", "_pools", "_sockets", "_tls", "down")

    def __init__(self, sockets: Sockets, load_tls: Callable[[], Awaitable[ssl.SSLContext]]) -> None:
        self._sockets = sockets
        self._load_tls = load_tls
        self._tls: asyncio.Future[ssl.SSLContext] | None = None
        self._pools: defaultdict[Origin, Pool] = defaultdict(Pool)
        self._ejected: dict[Origin, float] = {}
        self.down: Collection[tuple[str, int]] = ()

    def choose(self, balancing: Balancing[T], tried: Collection[Origin] = ()) -> T:
        """Choose the next target that can be reached, or the one of these that has fewest connections in use for its weight.

        tried: origins that are left out whatever happens. When no other can be reached, any of them is taken.
        """
        targets, weights = balancing.targets, balancing.weights
        count = len(targets)
        down = self.down if balancing.heeds_tests else ()
        now = self._sockets.now
        chosen = stand_in = -1
        fewest = 0.0
        for step in range(count):
            place = (balancing.turn + step) % count
            origin = targets[place].origin
            if tried and origin in tried:
                continue
            if stand_in < 0:
                stand_in = place
            if (self._ejected and self._ejected.get(origin, 0.0) > now) or (down and origin[1:3] in down):
                continue
            if not weights:
                chosen = place
                break
            load = self._pools[origin].in_use / weights[origin]
            if chosen < 0 or load < fewest:
                chosen, fewest = place, load
        # The turn goes on behind the one that was taken: the neighbour of one that is left out gets no more than its share.
        place = max(chosen if chosen >= 0 else stand_in, 0)
        balancing.turn = (place + 1) % count
        return targets[place]

    def eject(self, target: Target) -> None:
        """Leave a target out for ten seconds."""
        self._ejected[target.origin] = self._sockets.now + _EJECTED_FOR

    def take(self, origin: Origin) -> UpstreamConnection | None:
        """Take an idle connection, the last used first; None when there is none."""
        pool = self._pools.get(origin)
        while pool:
            connection = pool.pop()
            connection.idle = False
            if not connection.transport.is_closing():
                connection.deadline = NEVER
                return connection
        return None

    async def connect(self, origin: Origin, timeout: float) -> UpstreamConnection:
        """Open a new connection. timeout: seconds, TLS included; `inf` = none. Raises Unreachable, TimeoutError."""
        # A task of its own: a driven coroutine has none, and a time-out must be able to cancel one.
        task = self._sockets.loop.create_task(self._connect(origin, timeout))
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            task.add_done_callback(_close_unwanted)  # it may have been made in this very moment
            raise

    async def _connect(self, origin: Origin, timeout: float) -> UpstreamConnection:
        pool = self._pools[origin]
        pool.open += 1  # those that are being made count, too: a burst would go to one target
        try:
            connection = await self._open(origin, timeout)
        except BaseException:
            pool.open -= 1
            raise
        connection.home = pool
        connection.peer = name_of(origin)
        if connection.lost:
            pool.open -= 1
        return connection

    async def _open(self, origin: Origin, timeout: float) -> UpstreamConnection:
        scheme, host, port = origin
        try:
            async with asyncio.timeout(None if timeout == NEVER else timeout):
                if scheme == "https":
                    connection = await tls.connect(self._sockets, host, port, await self._verifier())
                else:
                    connection = UpstreamConnection(self._sockets)
                    try:
                        await connecting.connect(self._sockets.loop, lambda: connection, host, port)
                    except BaseException:
                        # Cancelled in the turn in which it connected, uvloop closes the socket and does not call `connection_lost`.
                        self._sockets.connections.discard(connection)
                        raise
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"The certificate of the upstream is not trusted: {error.verify_message}.") from None
        except ssl.SSLError:
            raise Unreachable("TLS with the upstream failed.") from None
        except TimeoutError:
            raise
        except OSError as error:
            raise Unreachable(f"No connection to the upstream could be made ({error.strerror or type(error).__name__}).") from None
        return connection

    async def _verifier(self) -> ssl.SSLContext:
        """Load it once for all that wait, again when that failed. A worker without https targets saves the 2 MB of the authorities."""
        if self._tls is None or (self._tls.done() and self._tls.exception() is not None):
            self._tls = asyncio.ensure_future(self._load_tls(), loop=self._sockets.loop)
        try:
            return await asyncio.shield(self._tls)
        except OSError:
            raise Unreachable("The certificate authorities for upstreams could not be loaded.") from None

    def give(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next request."""
        pool = connection.home
        if connection.lost or connection.buffer or len(pool) >= _MOST_IDLE or connection.transport.is_closing():
            connection.close()
            return
        connection.resume()  # its end must be noticed
        connection.deadline = self._sockets.now + IDLE_TIMEOUT
        connection.idle = True
        pool.append(connection)

    def end(self, connection: UpstreamConnection, *, told: bool) -> None:
        """Close a connection that cannot be kept. told: the upstream says that it ends it.

        Then those to the same upstream that have been idle for a while are closed, too. Its process may be stopping: it closes connections
        on which it is asked nothing more, in the very moment, perhaps, in which a request comes that must not be repeated. Those that are
        always in use are told by their answers.
        """
        connection.close()
        if not told:  # but given up here, as for a client that went away
            return
        pool = connection.home
        while pool and pool[0].deadline < self._sockets.now + IDLE_TIMEOUT - _RARELY_USED:
            idle = pool.popleft()
            idle.idle = False
            idle.close()

    def states(self) -> Mapping[str, int]:
        """Return how many connections are `idle` and how many `busy`. From any thread."""
        found = [one.idle for one in self._sockets.connections.copy() if isinstance(one, UpstreamConnection)]
        idle = sum(found)
        return {"idle": idle, "busy": len(found) - idle}

    def close(self) -> None:
        """Close all idle connections."""
        for pool in self._pools.values():
            while pool:
                connection = pool.pop()
                connection.idle = False
                connection.close()


def name_of(origin: Origin) -> str:
    """Return the name of an upstream in logs."""
    _, host, port = origin
    return host_port(host, port)


def _close_unwanted(task: asyncio.Task[UpstreamConnection]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
