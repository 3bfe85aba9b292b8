"""An auth service that knows one password of each person, answers as a test has written, and remembers what it was asked."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]


@dataclass(frozen=True)
class Asked:
    """One request. user, password: of its Basic credential. address: of the client in whose name it comes."""

    method: str
    path: str
    body: Any
    user: str
    password: str
    address: str | None


class ScriptedAuth:
    """Answers at `url` until it is closed. answers: by method and path without the query; None for no answer at all."""

    def __init__(self, people: Mapping[str, tuple[str, str]], password: str) -> None:
        """people: level and domain by name."""
        self.passwords = {f"{name}@example.org": {password} for name in people}
        self.answers: dict[str, Answer | None] = {}
        self.retry_after: str | None = None
        self.asked: list[Asked] = []
        self._people = people
        auth = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                if self.path == "/verify/basic":
                    answer: Answer | None = auth._verify(body)
                else:
                    encoded = self.headers["Authorization"].partition(" ")[2]
                    user, _, shown = base64.b64decode(encoded).decode().partition(":")
                    auth.asked.append(Asked(self.command, self.path, body, user, shown, self.headers["X-Forwarded-For"]))
                    answer = auth.answers.get(f"{self.command} {self.path.partition('?')[0]}", (404, {"error": "not found", "code": "x"}))
                if answer is None:
                    self.close_connection = True
                    return
                status, said = answer
                text = b"" if status == 204 else said.encode() if isinstance(said, str) else json.dumps(said).encode()
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                if auth.retry_after:
                    self.send_header("Retry-After", auth.retry_after)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = do_DELETE = _serve

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def users(self, *names: str, total: int | None = None) -> None:
        """Let `GET /users` answer these people."""
        items = [self._user(name) for name in names]
        self.answers["GET /users"] = (200, {"items": items, "total": total or len(items), "page": 1, "per_page": 200})

    def _user(self, name: str) -> dict[str, Any]:
        level, domain = self._people[name]
        return {
            "id": f"id/{name}",
            "email": f"{name}@example.org",
            "full_name": f"{name.title()} van Dam",
            "domain": domain,
            "level": level,
            "active": True,
            "layer_domains": [],
            "created_at": "2026-01-01T00:00:00Z",
            "last_login_at": "2026-01-01T00:00:01Z",
        }

    def _verify(self, given: Any) -> Answer:
        if given["password"] not in self.passwords.get(given["username"], ()):
            return 401, {"error": "invalid credentials", "code": "invalid-credentials"}
        return 200, {**self._user(given["username"].partition("@")[0]), "credential": "password", "expires_at": None}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
