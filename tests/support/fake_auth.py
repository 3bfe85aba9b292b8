"""An auth service that knows the tokens and people that a test names, and answers `/verify/…` as the real one does."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeAuth:
    """Answers at `url` until it is closed. `asked` counts the questions."""

    def __init__(self) -> None:
        self._known: dict[str, Mapping[str, Any]] = {}
        self._people: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.asked = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.asked += 1
                if self.path == "/verify/basic":
                    said = fake._people.get((given["username"], given["password"]))
                    refused = {"error": "invalid credentials", "code": "invalid-credentials"}
                elif self.path == "/verify/user":
                    said = fake._user(given["id"])
                    refused = {"error": "unknown user", "code": "unknown-user"}
                else:
                    assert self.path == "/verify/token"
                    said = fake._known.get(given["token"])
                    refused = {"error": "invalid token", "code": "invalid-token"}
                body = json.dumps(said or refused).encode()
                self.send_response(200 if said else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def add(
        self,
        token: str,
        account: str,
        kind: str = "account",
        permission: str = "full",
        *,
        policy: Mapping[str, Sequence[str]] = {},
        level: str = "EDITOR",
        domain: str = "lab",
        client_id: str | None = None,
        scope: str | None = None,
    ) -> str:
        """Let it know a token, and return it. policy: actions by resource. level, domain: of its user.

        client_id, scope: of a token that an application has.
        """
        self._known[token] = {
            "kind": kind,
            "id": f"id-{token}",
            "subject": account,
            "user": {
                "id": account,
                "email": f"{account}@example.org",
                "full_name": account,
                "domain": domain,
                "level": level,
                "layer_domains": [],
            },
            "permission": permission,
            "policy": [{"resource": resource, "actions": list(actions)} for resource, actions in policy.items()],
            "label": "",
            "scope": scope,
            "client_id": client_id,
            "expires_at": None,
        }
        return token

    def add_person(
        self, name: str, password: str, *, level: str, domain: str, layer_domains: Sequence[str] = (), ends: str | None = None
    ) -> None:
        """Let it know a person, whose address is `name@example.org`; one it knows already is changed, and has this password only.

        layer_domains: where it may create layers of mobility. ends: of the password, which then is a login key.
        """
        self.remove_person(name)
        email = f"{name}@example.org"
        self._people[email, password] = {
            "id": name,
            "email": email,
            "full_name": name.title(),
            "domain": domain,
            "level": level,
            "active": True,
            "layer_domains": list(layer_domains),
            "password_stamp": f"stamp of {password}",
            "credential": "login_key" if ends else "password",
            "expires_at": ends,
        }

    def remove_person(self, name: str) -> None:
        """Let a person be unknown from now on."""
        for email, password in [key for key, person in self._people.items() if person["id"] == name]:
            del self._people[email, password]

    def _user(self, user_id: str) -> Mapping[str, Any] | None:
        return next((person for person in list(self._people.values()) if person["id"] == user_id), None)

    def remove(self, token: str) -> None:
        """Let a token be unknown from now on."""
        self._known.pop(token)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
