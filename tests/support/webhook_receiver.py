"""A receiver of webhooks that notes what it gets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """answers: the statuses of the next calls; when there are none left, 200. held: while it is clear, calls to `/held` wait."""

    url: str
    port: int
    calls: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    waiting: int = 0

    def ids(self) -> list[str]:
        return [call.headers["webhook-id"] for call in self.calls]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a loopback port, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _note(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            noted.calls.append(Received(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            if self.path.startswith("/held"):
                noted.waiting += 1
                noted.held.wait(30)
            status = noted.answers.pop(0) if noted.answers else 200
            try:
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"{noted.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # the caller did not wait

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _note

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    port = server.server_address[1]
    noted = Receiver(f"http://127.0.0.1:{port}", port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield noted
    finally:
        noted.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
