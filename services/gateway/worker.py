"""The gunicorn worker: one event loop that serves both ports, drains when it is asked to stop, and is watched by its master.

Requests of the public port never enter WSGI. The operator port's are handed to the Flask application in a small thread pool.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from math import inf
from typing import Any, ClassVar, Final

import uvloop
from gunicorn.workers.base import Worker

from services.common import logging as logs
from services.common.listening import queued, refuses_new
from services.common.migrations import NotMigrated
from services.common.stopping import ENDING, STILL_ACCEPTS_S
from services.gateway import machine_code
from services.gateway.certificates import upstream_tls
from services.gateway.counters.turn import Turn
from services.gateway.forwarding.forward_proxy import forward_proxy
from services.gateway.forwarding.forwarder import Forwarder
from services.gateway.forwarding.uptime_tests import UptimeTests
from services.gateway.front_door import FrontDoor
from services.gateway.operator_door import OperatorDoor
from services.gateway.routing.shares import Shares
from services.gateway.stores.sealing import WrongMasterKey
from services.gateway.succession import Succession
from services.gateway.threads import Threads, in_thread
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.sockets import SWEEP, Sockets
from services.gateway.wire.tls import Handshakes
from services.gateway.wire.upstreams import Upstreams
from services.gateway.wiring import Gateway

log = logs.get(__name__)

# More than the store takes at once (`wiring`), so that some are left for what needs no store.
_OPERATOR_THREADS: Final = 12
# Seconds until a computing thread gives the loop its turn; Python's default of 5 ms would show in every request meanwhile.
_SWITCH_INTERVAL: Final = 0.0005
# How long a kept-alive client has to send one more request, whose answer then says that the connection ends.
_GRACE_OF_IDLE: Final = 2.0
# gunicorn's exit status: the master stops instead of starting the worker again and again.
_CANNOT_BOOT: Final = 3
_BEFORE_ANOTHER: Final = 1.0
# Seconds of the graceful time-out for noticing the signal and for exiting; and the least that writing gets.
_SPARE: Final = 0.5
_LEAST_TO_WRITE: Final = 0.5
# Seconds after the graceful time-out when the process exits, whatever hangs.
_LEAVES_AFTER: Final = 1.5
# Seconds that a successor may load before its predecessor exits all the same.
_SUCCESSOR_WITHIN: Final = 60.0


class GatewayWorker(Worker):  # type: ignore[misc]
    """`worker_class` of deploy/gunicorn.gateway.py. The first bind is the public port, the second the operator's.

    leaving: it was told to stop, and takes connections until its successor is ready; the master sees the same. age: gunicorn's count, the
    younger the higher; a leaving worker counts as younger than all, so that gunicorn does not stop another one for it.
    """

    succession: ClassVar[Succession | None] = None
    _turn: ClassVar[Turn | None] = None

    def __init__(self, age: int, *args: Any, **more: Any) -> None:
        """Prepare the worker in the master, before the fork."""
        if GatewayWorker.succession is None:
            GatewayWorker.succession, GatewayWorker._turn = Succession(), Turn()
        self._age = age
        super().__init__(age, *args, **more)

    @property
    def leaving(self) -> bool:
        # The heartbeat file is the one thing that master and worker share.
        return os.fstat(self.tmp.fileno()).st_size > 0

    @property
    def age(self) -> float:
        return inf if self.leaving else self._age

    @age.setter
    def age(self, age: int) -> None:
        self._age = age

    def init_signals(self) -> None:
        super().init_signals()
        # The loop must not be interrupted in the middle of a callback.
        signal.siginterrupt(signal.SIGTERM, False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)  # the master has made them wait over the fork

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        try:
            os.truncate(self.tmp.fileno(), 1)  # a size needs no room, a byte would: the disk may be full
        except ValueError:  # closed, because all work has ended
            return
        self.notify()  # the file's times are now those of another clock
        if os.getppid() == self.ppid:
            os.kill(self.ppid, signal.SIGCHLD)  # it looks at its workers, and starts the successor

    def handle_quit(self, sig: int, frame: Any) -> None:
        self.alive = False
        self.cfg.set("graceful_timeout", 0)

    def run(self) -> None:
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._serve(loop))
        except (NotMigrated, WrongMasterKey) as error:
            sys.stderr.write(f"gateway: cannot start: {error}\n")
            sys.exit(_CANNOT_BOOT)
        except Exception:
            log.exception("worker failed")
            time.sleep(_BEFORE_ANOTHER)  # the master starts the next one at once
            sys.exit(1)
        finally:
            loop.close()

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        gateway: Gateway = self.wsgi.extensions["gatehouse"]
        settings = gateway.settings
        sys.setswitchinterval(_SWITCH_INTERVAL)
        turn = self._turn if settings.valkey_url is None else None
        starting = gateway.start(partial(self._wait_for, turn) if turn is not None else None)
        if not await self._notifying(loop, starting, while_alive=True):
            self._leave_in_time()
            await gateway.stop(max(float(self.cfg.graceful_timeout) - _SPARE, _LEAST_TO_WRITE))
            return
        sockets = Sockets(loop)
        upstreams = Upstreams(
            sockets, partial(in_thread, upstream_tls, settings), partial(in_thread, upstream_tls, settings), forward_proxy(settings)
        )
        forwarder = Forwarder(upstreams, settings, gateway.tracing)
        public_tls = gateway.public_tls
        if public_tls is not None:
            public_tls.present()
        front = FrontDoor(gateway, forwarder, secure=public_tls is not None)
        threads = Threads(_OPERATOR_THREADS, "operator")
        operator = OperatorDoor(gateway, self.wsgi, threads)
        public_socket, operator_socket = self.sockets[0].sock, self.sockets[1].sock
        handshakes = None
        if public_tls is not None:
            shares = Shares(settings.max_connections_per_address, forwarder.trusted)
            handshakes = Handshakes(
                sockets, front.serve, front.turn_back, public_tls.present, gateway.max_connections, shares.enter, shares.leave
            )
        accept = handshakes.protocol if handshakes is not None else lambda: ClientConnection(sockets, front.serve)
        servers = [
            await loop.create_server(accept, sock=public_socket, backlog=2048),
            await loop.create_server(lambda: ClientConnection(sockets, operator.serve), sock=operator_socket),
        ]
        self._ready()
        tests = UptimeTests(
            upstreams, gateway.live, gateway.events.fire, gateway.counters.take, settings.uptime_wait, settings.uptime_failures
        )
        tests.start()
        gateway.gauges.set("upstreams_down", "Hosts whose uptime tests fail.", lambda: tests.down)
        if handshakes is not None:
            untrusted = "TLS handshakes that ended because nobody here knows the certificate of the client."
            gateway.gauges.count("client_certificates_untrusted", untrusted, lambda: handshakes.untrusted)
        gateway.gauges.set("connections", "Client connections of the public port.", lambda: len(front.open))
        gateway.gauges.set(
            "connections_idle", "Of these, connections that wait for a request.", lambda: sum(one.idle for one in front.open.copy())
        )
        gateway.gauges.split("upstream_connections", "Connections to upstreams.", "state", upstreams.states)
        # What is loaded stays; scanning it at every collection would show as pauses.
        gc.collect()
        gc.freeze()
        log.info("worker started", pid=os.getpid(), apis=len(gateway.live.current.apis), data_plane=machine_code.running().data_plane)
        beat, stays_until = 0.0, inf
        while loop.time() < stays_until:
            await asyncio.sleep(SWEEP)
            self._tend(sockets, gateway)
            beat += SWEEP
            if beat >= 1.0:
                beat = 0.0
                self.notify()
                if self.ppid != os.getppid():
                    log.warning("master lost; worker stops")
                    break
            if not self.alive:
                if self._succeeded():
                    break
                if stays_until == inf:
                    stays_until = loop.time() + _SUCCESSOR_WITHIN
                    log.info("successor awaited", pid=os.getpid())
        tests.stop()
        told = loop.time()
        self._leave_in_time()
        await self._drain(sockets, gateway, front, operator, servers, handshakes, turn)
        upstreams.close()
        threads.shutdown(cancel_futures=True)
        left = told + float(self.cfg.graceful_timeout) - _SPARE - loop.time()
        await self._notifying(loop, gateway.stop(max(left, _LEAST_TO_WRITE)))

    def _ready(self) -> None:
        """Tell the predecessor that it need not wait any more."""
        if self.succession is not None:
            self.succession.ready(self._age)

    async def _wait_for(self, turn: Turn) -> bool:
        """Wait for the counts of the predecessor, which must leave first. All else is loaded."""
        self._ready()
        return await turn.wait()

    def _succeeded(self) -> bool:
        """Whether a successor takes connections, or none will come."""
        return self.succession is None or not self.cfg.graceful_timeout or self.succession.succeeded(self._age)

    async def _notifying(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None], *, while_alive: bool = False) -> bool:
        """Do work that may wait for a database, without looking like a hanging worker. while_alive: given up when told to stop.

        Return whether it was done. Raises what the work raises.
        """
        task = loop.create_task(work)
        while not task.done():
            self.notify()
            await asyncio.wait([task], timeout=SWEEP)
            if while_alive and not self.alive and not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=_SPARE)
                return False
        task.result()
        return True

    def _leave_in_time(self) -> None:
        """Exit a moment after the graceful time-out, whatever hangs."""
        timer = threading.Timer(float(self.cfg.graceful_timeout) + _LEAVES_AFTER, _leave)
        timer.daemon = True
        timer.start()

    @staticmethod
    def _tend(sockets: Sockets, gateway: Gateway) -> None:
        sockets.sweep()
        gateway.access_log.flush()

    async def _drain(
        self,
        sockets: Sockets,
        gateway: Gateway,
        front: FrontDoor,
        operator: OperatorDoor,
        servers: Sequence[asyncio.AbstractServer],
        handshakes: Handshakes | None,
        turn: Turn | None,
    ) -> None:
        """Take no more connections and let the successor count; end those under way, at the latest after the graceful time-out.

        When all workers end, new connections are refused already, and those that were made before are taken until the end: nobody else
        would. turn: this worker's, None = it has none.
        """
        accepted = [listener for listener in self.sockets if refuses_new(listener)]
        for server, listener in zip(servers, self.sockets, strict=True):
            if listener not in accepted:
                server.close()
        front.begin_stop()
        operator.begin_stop()
        loop = sockets.loop
        handing_over = loop.create_task(self._hand_over(gateway, turn))
        started = loop.time()
        accepts_until = started + (STILL_ACCEPTS_S if accepted else 0.0)
        end = started + max(float(self.cfg.graceful_timeout) - 1.0, 0.0)
        while loop.time() < end:
            waiting = front.open or operator.open or (handshakes is not None and handshakes.under_way)
            accepting = loop.time() < accepts_until or any(map(queued, accepted))
            if not waiting and not accepting and handing_over.done():
                break
            if loop.time() > started + _GRACE_OF_IDLE:
                handshakes = None  # silent clients are not waited for
                front.close_idle()
                operator.close_idle()
            self._tend(sockets, gateway)
            self.notify()
            await asyncio.sleep(0.05)
        for server in servers:
            server.close()
        for connection in list(sockets.connections):
            connection.close()

    @staticmethod
    async def _hand_over(gateway: Gateway, turn: Turn | None) -> None:
        await gateway.counters.hand_over()
        if turn is not None:
            turn.give()


def _leave() -> None:
    telling = threading.Thread(target=log.error, args=("graceful time-out exceeded",), daemon=True)
    telling.start()  # what it writes to may be what hangs
    telling.join(_SPARE)
    os._exit(1)
