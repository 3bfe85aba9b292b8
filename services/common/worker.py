"""The gunicorn worker of the domain services: its threads, and an end in which every connection that was made is answered.

gunicorn alone stops accepting when it is told to stop; connections that are queued then are reset when the socket is closed at last. This
worker accepts for a moment longer, then what is queued, and closes its copies of the sockets. Whoever connects afterwards is refused, or
accepted by another worker.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from services.common.listening import queued
from services.common.stopping import ENDING, STILL_ACCEPTS_S


class Worker(ThreadWorker):  # type: ignore[misc]
    """One process of a service."""

    def init_process(self) -> None:
        self._accepts_until = math.inf
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)  # the master has made them wait over the fork

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop. The process may still be loading; then it stops as soon as it has begun to serve."""
        if self._accepts_until == math.inf:
            self._accepts_until = time.monotonic() + STILL_ACCEPTS_S
            self.method_queue.defer(lambda: None)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        if self.alive:
            timeout = min(timeout, max(self._accepts_until - time.monotonic(), 0.0))
        super().wait_for_and_dispatch_events(timeout)
        if self.alive and time.monotonic() >= self._accepts_until:
            self._end_accepting()

    def _end_accepting(self) -> None:
        """Accept what is queued, and nothing more. Every answer that begins from now on is the last one of its connection."""
        for listener in self.sockets:
            with contextlib.suppress(OSError):  # no file is left for it
                for _ in range(queued(listener)):
                    before = self.nr_conns
                    self.accept(listener)
                    if self.nr_conns == before:  # another worker was faster
                        break
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        self.alive = False
        wakeups = getattr(self.wsgi, "extensions", {}).get("wakeups")
        if wakeups is not None:  # long polls and streams end
            threading.Thread(target=wakeups.close, name="closing", daemon=True).start()

    def _cap_keepalive(self, deadline: float) -> None:
        """Once the process stops: also close those that have sent nothing yet."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)
