"""The gunicorn worker of the domain services: its threads, and an end in which every connection that was made is answered.

gunicorn alone stops accepting when it is told to stop; connections that are queued then are reset when the socket is closed at last. This
worker accepts for a moment longer, then what is queued, and closes its copies of the sockets. Whoever connects afterwards is refused, or
accepted by another worker.

gunicorn also waits up to two seconds for the client of a connection that ends, in the thread that watches all others. Here that thread
watches the ends as well, and waits for none.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker

from services.common.listening import queued
from services.common.stopping import ENDING, STILL_ACCEPTS_S

_END_S: Final = 2.0  # how long a client may take to close its end of a connection, after the last answer
_MOST_UNREAD: Final = 64 * 1024  # bytes that it may still send meanwhile


class Worker(ThreadWorker):  # type: ignore[misc]
    """One process of a service."""

    def init_process(self) -> None:
        self._ends: dict[Any, int] = {}  # connections whose last answer is sent, the oldest first, and how much of each was thrown away
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)  # the master has made them wait over the fork

    def is_parent_alive(self) -> bool:
        """Say whether the master is there; without it the process stops as if it were told to."""
        found = bool(super().is_parent_alive())
        if not found:
            self.alive = False
        return found

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin to accept, or pause; once the process stops, accept the last ones and end it. Called in the thread that watches."""
        if enabled or self.alive:
            super().set_accept_enabled(enabled)
            return
        until = time.monotonic() + STILL_ACCEPTS_S
        while (left := until - time.monotonic()) > 0:
            self.notify()
            self.wait_for_and_dispatch_events(left)
        for listener in self.sockets:
            self._accept_queued(listener)
        super().set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        self.sockets.clear()
        wakeups = getattr(self.wsgi, "extensions", {}).get("wakeups")
        if wakeups is not None:  # long polls and streams end
            threading.Thread(target=wakeups.close, name="closing", daemon=True).start()

    def _accept_queued(self, listener: Any) -> None:
        with contextlib.suppress(OSError):  # no file is left for it
            for _ in range(queued(listener)):
                before = self.nr_conns
                self.accept(listener)
                if self.nr_conns == before:  # another worker was faster
                    return

    def _cap_keepalive(self, deadline: float) -> None:
        """Once the process stops: also close those that have sent nothing yet."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Have a connection watched for its next request. One that ends is closed in two steps, so that its last answer arrives."""
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
            return
        self._ends[conn] = 0
        conn.timeout = time.monotonic() + _END_S
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_end_readable, conn))
        except (OSError, ValueError):  # it has ended already
            self._close_end(conn)

    def _on_end_readable(self, conn: Any, client: Any) -> None:
        """Throw away what a client still sends: closed with bytes unread, the connection would be reset, and the answer with it."""
        try:
            self._ends[conn] += (size := len(client.recv(_MOST_UNREAD)))
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size or self._ends[conn] >= _MOST_UNREAD:
            self._close_end(conn)

    def murder_pending(self) -> None:
        """In every round: also close what a client has not closed in its time."""
        super().murder_pending()
        now = time.monotonic()
        for conn in [conn for conn in self._ends if conn.timeout <= now]:
            self._close_end(conn)

    def _close_end(self, conn: Any) -> None:
        del self._ends[conn]
        with contextlib.suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()
