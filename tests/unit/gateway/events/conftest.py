"""An outbox on both databases, and a receiver of webhooks that notes what it gets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.common.core_database import CoreDatabase
from services.gateway.events.outbox import Call
from services.gateway.stores.events import Outbox


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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
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
    yield noted
    noted.held.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def outbox(database: CoreDatabase) -> Outbox:
    return Outbox(database)


@pytest.fixture
def make_call() -> Callable[..., Call]:
    def make(number: int = 1, url: str = "http://receiver.example/hook", told_for: float = 0.0, **changed: object) -> Call:
        values: dict[str, object] = {
            "id": f"msg_{number}",
            "hook_id": "hook",
            "lane": "/".join(url.split("/")[:3]),
            "event": "QuotaExceeded",
            "api_id": "api",
            "method": "POST",
            "url": url,
            "headers": (("X-One", "1"),),
            "body": '{"event": "QuotaExceeded"}',
            "mark": ("hook", "QuotaExceeded", "api", "key", "/path"),
            "told_for": told_for,
        }
        return Call(**{**values, **changed})  # type: ignore[arg-type]

    return make
