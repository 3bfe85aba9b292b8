"""Connections to upstreams: made within a time limit, kept for the next request, chosen among several targets.

An idle connection on which anything arrives is closed: nothing was asked for. Targets that cannot be reached, or whose uptime tests fail,
are left out for a while, as long as there are others.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

from services.common.addresses import host_port
from services.common.remembered import Remembered
from services.gateway.wire import connecting, proxying, tls
from services.gateway.wire.balancing import Balancing, Origin, T, Target
from services.gateway.wire.routes import ForwardProxy, Route
from services.gateway.wire.sockets import NEVER, Sockets
from services.gateway.wire.upstream_connection import Pool, UpstreamConnection

IDLE_TIMEOUT: Final = 50.0
_MOST_IDLE: Final = 256
_EJECTED_FOR: Final = 10.0
# Seconds after which an idle connection is not one of those that are always in use.
_RARELY_USED: Final = 0.5
_MANY_POOLS: Final = 4096
# Contexts of routes: how many are kept, and for how many seconds.
_MOST_CONTEXTS: Final = 256
_CONTEXT_FOR: Final = 300.0


class Unreachable(Exception):
    """No connection could be made. The text says why, without the address."""


class WrongKey(Unreachable):
    """The upstream has shown another public key than those that the definition names."""


class Upstreams:
    """The pools of a worker. load_tls: gives what verifies https targets; it is called for the first of them. make_tls: the same for a
    route. proxy: the forward proxy to a host whose route names none.

    down: hosts and ports whose uptime tests fail.
    """

    __slots__ = ("_contexts", "_ejected", "_load_tls", "_make_tls", "_pools", "_proxy", "_sockets", "_tls", "down")

    def __init__(
        self,
        sockets: Sockets,
        load_tls: Callable[[], Awaitable[ssl.SSLContext]],
        make_tls: Callable[[Route], Awaitable[ssl.SSLContext]] | None = None,
        proxy: Callable[[str], ForwardProxy | None] | None = None,
    ) -> None:
        self._sockets = sockets
        self._load_tls = load_tls
        self._make_tls = make_tls
        self._proxy = proxy
        self._tls: asyncio.Future[ssl.SSLContext] | None = None
        self._contexts: Remembered[Route, tuple[float, asyncio.Future[ssl.SSLContext]]] = Remembered(_MOST_CONTEXTS)
        self._pools: defaultdict[Origin | tuple[Origin, Route], Pool] = defaultdict(Pool)
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
            routes = balancing.routes
            pool = self._pools[origin if routes is None else (origin, routes.of(origin[1]))]
            load = pool.in_use / weights[origin]
            if chosen < 0 or load < fewest:
                chosen, fewest = place, load
        # The turn goes on behind the one that was taken: the neighbour of one that is left out gets no more than its share.
        place = max(chosen if chosen >= 0 else stand_in, 0)
        balancing.turn = (place + 1) % count
        return targets[place]

    def eject(self, target: Target) -> None:
        """Leave a target out for ten seconds."""
        self._ejected[target.origin] = self._sockets.now + _EJECTED_FOR

    def take(self, origin: Origin, route: Route | None = None) -> UpstreamConnection | None:
        """Take an idle connection, the last used first; None when there is none."""
        pool = self._pools.get(origin if route is None else (origin, route))
        while pool is not None and pool.idle:
            connection = pool.idle.pop()
            connection.idle = False
            if not connection.transport.is_closing():
                connection.deadline = NEVER
                return connection
        return None

    async def connect(self, origin: Origin, timeout: float, route: Route | None = None, *, tunnel: bool = False) -> UpstreamConnection:
        """Open a new connection. timeout: seconds, TLS included; `inf` = none. tunnel: a proxy must pass on whatever is sent.

        Raises Unreachable, TimeoutError.
        """
        # A task of its own: a driven coroutine has none, and a time-out must be able to cancel one.
        task = self._sockets.loop.create_task(self._connect(origin, timeout, route, tunnel))
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            task.add_done_callback(_close_unwanted)  # it may have been made in this very moment
            raise

    async def _connect(self, origin: Origin, timeout: float, route: Route | None, tunnel: bool) -> UpstreamConnection:
        if len(self._pools) >= _MANY_POOLS:  # of definitions that have changed
            for key in [key for key, pool in self._pools.items() if not pool.open]:
                del self._pools[key]
        pool = self._pools[origin if route is None else (origin, route)]
        pool.open += 1  # those that are being made count, too: a burst would go to one target
        try:
            connection = await self._open(origin, timeout, route, tunnel)
        except BaseException:
            pool.open -= 1
            raise
        connection.home = pool
        connection.peer = name_of(origin)
        if connection.lost:
            pool.open -= 1
        return connection

    async def _open(self, origin: Origin, timeout: float, route: Route | None, tunnel: bool) -> UpstreamConnection:
        scheme, host, port = origin
        proxy = route.proxy if route is not None else None
        if proxy is None and self._proxy is not None:
            proxy = self._proxy(host)
        try:
            async with asyncio.timeout(None if timeout == NEVER else timeout):
                if scheme == "https":
                    context = await self._verifier() if route is None else await self._context(route)
                    below = None if proxy is None else await proxying.open_tunnel(self._sockets.loop, proxy, host, port)
                    check = None if route is None else partial(_check, route, host)
                    return await tls.connect(self._sockets, host, port, context, below=below, check=check)
                if route is not None and route.pins:
                    raise WrongKey("The definition names public keys of this upstream, which needs TLS (https).")
                return await self._open_plain(host, port, proxy, tunnel)
        except ssl.SSLCertVerificationError as distrust:
            raise Unreachable(f"The certificate of the upstream is not trusted: {distrust.verify_message}.") from None
        except ssl.SSLError:
            raise Unreachable("TLS with the upstream failed.") from None
        except TimeoutError:
            raise
        except proxying.ProxyRefused as refused:
            raise Unreachable(f"No connection to the upstream could be made through the proxy: {refused}.") from None
        except OSError as error:
            whom = "the upstream" if proxy is None else "the upstream's proxy"
            raise Unreachable(f"No connection to {whom} could be made ({error.strerror or type(error).__name__}).") from None

    async def _open_plain(self, host: str, port: int, proxy: ForwardProxy | None, tunnel: bool) -> UpstreamConnection:
        connection = UpstreamConnection(self._sockets)
        try:
            if proxy is not None and tunnel:
                below = await proxying.open_tunnel(self._sockets.loop, proxy, host, port)
                below.set_protocol(connection)
                connection.connection_made(below)
                if below.is_closing():
                    raise ConnectionResetError
            else:
                if proxy is not None:
                    connection.absolute = proxying.AbsoluteForm(proxy, host, port)
                    host, port = proxy.host, proxy.port
                await connecting.connect(self._sockets.loop, lambda: connection, host, port)
        except BaseException:
            # Cancelled in the turn in which it connected, uvloop closes the socket and does not call `connection_lost`.
            self._sockets.connections.discard(connection)
            raise
        return connection

    async def _context(self, route: Route) -> ssl.SSLContext:
        """Return the TLS of a route, made once for all that wait; again after a while, because certificates are renewed."""
        now, known = self._sockets.now, self._contexts.get(route)
        if known is None or known[0] <= now or (known[1].done() and known[1].exception() is not None):
            assert self._make_tls is not None
            making = asyncio.ensure_future(self._make_tls(route), loop=self._sockets.loop)
            making.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waited may be gone
            known = self._contexts.keep(route, (now + _CONTEXT_FOR, making))
        try:
            return await asyncio.shield(known[1])
        except (OSError, ValueError):
            raise Unreachable("The certificate or the ciphers for the upstream could not be loaded; the log says why.") from None

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
        if connection.lost or connection.buffer or len(pool.idle) >= _MOST_IDLE or connection.transport.is_closing():
            connection.close()
            return
        connection.resume()  # its end must be noticed
        connection.deadline = self._sockets.now + IDLE_TIMEOUT
        connection.idle = True
        pool.idle.append(connection)

    def end(self, connection: UpstreamConnection, *, told: bool) -> None:
        """Close a connection that cannot be kept. told: the upstream says that it ends it.

        Then those to the same upstream that have been idle for a while are closed, too. Its process may be stopping: it closes connections
        on which it is asked nothing more, in the very moment, perhaps, in which a request comes that must not be repeated. Those that are
        always in use are told by their answers.
        """
        connection.close()
        if not told:  # but given up here, as for a client that went away
            return
        waiting = connection.home.idle
        while waiting and waiting[0].deadline < self._sockets.now + IDLE_TIMEOUT - _RARELY_USED:
            idle = waiting.popleft()
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
            while pool.idle:
                connection = pool.idle.pop()
                connection.idle = False
                connection.close()


def name_of(origin: Origin) -> str:
    """Return the name of an upstream in logs."""
    _, host, port = origin
    return host_port(host, port)


def _check(route: Route, host: str, transport: Any) -> None:
    """Look at the certificate of an upstream, after the handshake. Raises WrongKey, Unreachable."""
    if not route.pins and not route.common_name:
        return
    from services.gateway.wire import pinning  # who made the context has imported it in a thread

    certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    if route.pins and pinning.key_of(certificate) not in route.pins:
        raise WrongKey("The upstream has shown another public key than those in pinned_public_keys.")
    if route.common_name and not pinning.is_common_name(certificate, host):
        raise Unreachable("The common name of the upstream's certificate is not its host.")


def _close_unwanted(task: asyncio.Task[UpstreamConnection]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
