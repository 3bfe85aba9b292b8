"""gunicorn's threads, except for polls: the thread that watches the connections reads them, and lets them wait without a thread each.

A change wakes hundreds of polls at once. With a thread for each, most of the time goes into changing from one thread to the next; here one
reads the store once, and the answers are written one after the other. `services/common/serving.py` says which requests are taken.
"""

from __future__ import annotations

import errno
import re
import resource
import selectors
import socket
import struct
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from gunicorn.workers.gthread import TConn

from services.common import request_id, serving, worker
from services.sessions.updates.door import LARGEST, Answer, Door, Visit
from services.sessions.updates.parking import Ask, Outcome, Parked

_MOST: Final = LARGEST + 8 * 1024  # bytes of a request that is taken
_HEAD: Final = re.compile(rb"POST (/api/(?:session|slots/[0-9]+)/update[!-~]*) HTTP/1\.1\r\n" + serving.FIELDS).match
_SLOW_S: Final = 20.0  # how long a client may take to read a piece of an answer that does not fit into the kernel's buffer
_PIECE: Final = 256 * 1024  # bytes
_STUCK_S: Final = 10  # an answer of a thread is given up when its client reads nothing for so long, or twice as long
_OWN_FILES: Final = 256  # that a process needs besides its clients' connections: those of the store, of auth, of Valkey
_USED_UP: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_S: Final = 0.02  # until a connection is accepted again, after there was no file for it


@dataclass(slots=True, eq=False)
class _Waiting:
    """A connection whose poll is parked. ahead: its next request came already, so that it is not watched any more."""

    conn: Any
    request: bytes
    visit: Visit | None = None
    poll: Parked | None = None
    ahead: bool = False


class Worker(worker.Worker):
    """One process of the service."""

    def init_process(self) -> None:
        self._door: Door | None = None
        self._used_up = False
        self.worker_connections: int = min(self.cfg.worker_connections, _connections_possible())
        super().init_process()

    def run(self) -> None:
        """Serve until the process is told to stop."""
        self._door = Door(self.wsgi)
        self._door.parts.parking.start(partial(self.method_queue.defer, self._settle))
        super().run()

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection, and watch it: its first request may be one that needs no thread, and may be long in coming."""
        try:
            connection, address = listener.accept()
        except OSError as error:
            if error.errno in _USED_UP:  # those who are connected must not suffer
                self._pause(error)
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self._used_up = False
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _STUCK_S, 0))
        self.nr_conns += 1
        conn = TConn(self.cfg, connection, address, listener.getsockname())  # which does not block
        conn.fresh = True
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(connection, selectors.EVENT_READ, partial(self._on_readable, conn))

    def _pause(self, error: OSError) -> None:
        """Let whoever wants to connect wait a moment: the listener stays readable, and would be asked without a break."""
        if not self._used_up:
            self.log.warning("no connection accepted: %s", error.strerror)
        self._used_up = True
        time.sleep(_PAUSE_S)

    def _on_readable(self, conn: Any, client: Any) -> None:
        """Take a request of a connection that is watched since it was accepted."""
        (self.on_pending_socket_readable if conn.fresh else self.on_client_socket_readable)(conn, client)

    def handle_request(self, request: Any, conn: Any) -> bool:
        """Answer a request, in a thread. A client that reads nothing must not keep it, and no stream, for ever."""
        try:
            return bool(super().handle_request(request, conn))
        except BlockingIOError:
            self.log.debug("answer given up: its client does not read")
            return False

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        """Take the first request of a connection: by this thread, if it is one that may be."""
        if self._is_watched(client) and not self._waits(conn, client) and not self._take(conn, client, self.pending_conns):
            super().on_pending_socket_readable(conn, client)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Take the next request of a connection: by this thread, if it is one that may be."""
        if self._is_watched(client) and not self._waits(conn, client) and not self._take(conn, client, self.keepalived_conns):
            super().on_client_socket_readable(conn, client)

    def _is_watched(self, client: socket.socket) -> bool:
        """Say whether a connection is still watched: what happened earlier in this round may have closed it, or given it to a thread."""
        return client.fileno() >= 0 and client.fileno() in self.poller.get_map()

    def _take(self, conn: Any, client: Any, among: Any) -> bool:
        """Read a poll, and let it wait. False when nothing was done. among: the connections that this one is one of."""
        if self._door is None or self.cfg.is_ssl or self.nr + 1 >= self.max_requests:
            return False
        request = serving.peek(conn.sock, _MOST)
        head = _HEAD(request)
        environ = None if head is None else serving.environ(head[2])
        if head is None or environ is None or self._door.length(environ) != len(request) - head.end():
            return False
        waiting = _Waiting(conn, request)
        read = self._door.read(head[1].decode(), environ, request[head.end() :], waiting)
        if read is None:
            return False
        waiting.poll, waiting.visit = read
        conn.sock.recv(len(request))
        among.remove(conn)
        conn.waiting, conn.fresh = waiting, False  # and stays where it is watched
        self.nr += 1
        if not self.alive:  # a thread would close it gently, which keeps this one
            self._settle([(waiting.poll, None)])
        elif not self._door.park(waiting.poll):
            conn.waiting = None
            self._pass_on(waiting)
        return True

    def _waits(self, conn: Any, client: Any) -> bool:
        """Say whether a connection has a poll that waits. If so, it was closed, or its next request came early: that is read later."""
        waiting: _Waiting | None = getattr(conn, "waiting", None)
        if waiting is None:
            return False
        if serving.peek(client, 1):
            self.poller.unregister(client)
            waiting.ahead = True
            return True
        assert self._door is not None
        assert waiting.poll is not None
        self._door.parts.parking.forget(waiting.poll)
        self._close(waiting)
        return True

    def _settle(self, outcomes: Sequence[tuple[Parked, Outcome]]) -> None:
        """Answer polls. What is to be noted of them waits until all have their answers."""
        assert self._door is not None
        told = []
        last, before = None, ""
        for poll, outcome in outcomes:
            waiting: _Waiting = poll.owner
            waiting.conn.waiting = None
            if waiting.conn.sock.fileno() < 0:  # its client went away a moment ago
                continue
            if outcome is Ask:
                self._pass_on(waiting)
                continue
            answer = self._door.answer(outcome)
            if answer is not last:
                last, before = answer, serving.head(answer.status, answer.headers, kept=self.alive)
            assert waiting.visit is not None
            self._send(waiting, f"{before}{request_id.HEADER}: {waiting.visit.request_id}\r\n\r\n".encode(), answer.body)
            told.append((waiting.visit, answer))
        if told:
            self.method_queue.defer(self._note, told)

    def _note(self, told: Sequence[tuple[Visit, Answer]]) -> None:
        assert self._door is not None
        for visit, answer in told:
            self._door.told(visit, answer.status)

    def _send(self, waiting: _Waiting, head: bytes, body: bytes) -> None:
        """Write an answer, and wait for the connection's next request. The body, which may be large and go to hundreds, is not copied."""
        conn = waiting.conn
        try:
            sent = conn.sock.sendmsg((head, body))
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(waiting)
            return
        if sent < len(head) + len(body):  # the client is slow: a thread waits for it
            if not waiting.ahead:
                self.poller.unregister(conn.sock)
            future = self.tpool.submit(_send_rest, conn.sock, head, body, sent, self.alive)
            future.add_done_callback(lambda done: self.method_queue.defer(self._finish, conn, done))
        elif not self.alive:
            self._close(waiting)
        elif waiting.ahead:
            self._finish(conn, serving.KEPT)
        else:
            conn.set_timeout()
            self.keepalived_conns.append(conn)

    def _finish(self, conn: Any, done: Future[bool]) -> None:
        """Have a connection watched again, or closed. It has a parser then, which gunicorn asks for what it has read."""
        conn.init()
        self.finish_request(conn, done)

    def _pass_on(self, waiting: _Waiting) -> None:
        """Give a request back, for a thread to answer it."""
        conn = waiting.conn
        if not waiting.ahead:
            self.poller.unregister(conn.sock)
        self.nr -= 1
        conn.init()
        conn.parser.unreader.unread(waiting.request)
        self.enqueue_req(conn)

    def _close(self, waiting: _Waiting) -> None:
        if not waiting.ahead:
            self.poller.unregister(waiting.conn.sock)
        self.nr_conns -= 1
        waiting.conn.close()


def _connections_possible() -> int:
    """Return how many connections of clients the limit of open files leaves room for; it is raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        hard = soft
    return sys.maxsize if hard == resource.RLIM_INFINITY else max(16, hard - _OWN_FILES)


def _send_rest(connection: socket.socket, head: bytes, body: bytes, sent: int, kept: bool) -> bool:
    """Write what is left of an answer. Returns whether the connection may send its next request."""
    connection.settimeout(_SLOW_S)
    try:
        connection.sendall(head[sent:])
        rest = memoryview(body)[max(0, sent - len(head)) :]
        for place in range(0, len(rest), _PIECE):
            connection.sendall(rest[place : place + _PIECE])  # the time is that of one call
    except OSError:
        return False
    return kept
