"""gunicorn's threads, except for `POST /data`, which the thread that polls the connections reads, and answers when it is stored.

A request that waits for the store would keep a thread, and each change from one thread to the next costs the interpreter's lock: with 32
connections that is more than all work on the request. Here one thread reads, others write many batches at a time, and none waits.
`services/common/serving.py` says which requests are taken.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.common import serving, worker
from services.devices.data.door import PATH, Door
from services.devices.data.ingest.batches import Batch
from services.devices.data.ingest.ingest import DEADLINE_S
from services.devices.web import LARGE_BODY

_LARGEST: Final = LARGE_BODY + 8 * 1024  # bytes of a request that is taken; larger ones are worth a thread
_HEAD: Final = re.compile(rb"POST %s HTTP/1\.1\r\n" % PATH.encode() + serving.FIELDS).match


@dataclass(slots=True)
class _Request:
    """A request whose records are on their way. content: all of it. began: time.perf_counter(). until: time.monotonic()."""

    door: Door
    conn: Any
    environ: serving.Environ
    content: bytes
    began: float
    until: float


class Worker(worker.Worker):
    """One process of the service."""

    def init_process(self) -> None:
        self._begun: dict[Batch, _Request] = {}  # the oldest first
        super().init_process()

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Take the next request of a connection: by this thread, if it is one that may be."""
        if not self._take(conn, client):
            super().on_client_socket_readable(conn, client)

    def murder_pending(self) -> None:
        """In every round: also give up what has waited for too long."""
        super().murder_pending()
        now = time.monotonic()
        while self._begun:
            batch, request = next(iter(self._begun.items()))
            if request.until > now:
                break
            request.until = math.inf  # once
            self.wsgi.wsgi_app.give_up(batch)  # which has it answered

    def _take(self, conn: Any, client: Any) -> bool:
        """Read a request, and begin to store its records. False when nothing was done."""
        door = getattr(self.wsgi, "wsgi_app", None)
        if not isinstance(door, Door) or self.cfg.is_ssl or not self.alive or self.nr + 1 >= self.max_requests:
            return False
        began = time.perf_counter()
        request = serving.peek(conn.sock, _LARGEST)
        head = _HEAD(request)
        environ = None if head is None else serving.environ(head[1])
        if head is None or environ is None:
            return False
        length = door.takes(environ)
        if not length or length != len(request) - head.end():
            return False
        batch = door.begin(environ, request[head.end() :], self._told)
        if batch is None:
            return False
        self._begun[batch] = _Request(door, conn, environ, request, began, time.monotonic() + DEADLINE_S)
        conn.sock.recv(len(request))
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self.nr += 1
        return True

    def _told(self, batches: Sequence[Batch]) -> None:
        """Have requests answered by the thread that polls."""
        self.method_queue.defer(self._answer_all, batches)

    def _answer_all(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._answer(self._begun.pop(batch), batch)

    def _answer(self, begun: _Request, batch: Batch) -> None:
        """Write the answer, and wait for the connection's next request."""
        conn = begun.conn
        try:
            count = batch.result()
        except Exception as error:  # whatever it is: the application answers it
            begun.door.failed[conn.sock] = error
            conn.parser.unreader.unread(begun.content)
            self.enqueue_req(conn)
            return
        headers, body = begun.door.answer(begun.environ, count, begun.began)
        whole = f"{serving.head(200, headers, kept=self.alive)}\r\n".encode() + body  # a process that ends takes no more requests
        try:
            sent = conn.sock.send(whole)
        except OSError:
            sent = 0
        if sent == len(whole) and self.alive:
            self.finish_request(conn, serving.KEPT)
        else:  # or a client that is gone, or that reads no answers: there is room for hundreds
            self.nr_conns -= 1
            conn.close()
