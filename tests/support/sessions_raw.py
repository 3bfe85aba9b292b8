"""The sessions service by itself, and polls as bytes: how it reads and answers them under gunicorn."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from tests.support.fake_auth import FakeAuth
from tests.support.processes import Process, running
from tests.support.raw_client import Answer, RawClient

PASSWORD = "correct horse battery"
LISTS = ("STAKEHOLDERS", "SETTINGS", "BUILDINGS", "MESSAGES", "TIMES", "LOGS")


class Service:
    """A running service. url: of one process; all processes of one store are told apart by it."""

    def __init__(self, url: str, process: Process) -> None:
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.process = process

    def event(self, path: str, *values: Any, headers: Mapping[str, str] | None = None) -> Any:
        """Fire an event, as the user `admin` at the root of the API, and return what it answers."""
        answer = requests.post(
            f"{self.url}/api{path}?f=JSON",
            json=list(values),
            headers=headers,
            auth=None if headers else ("admin@example.org", PASSWORD),
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def play(self, name: str = "demo") -> Game:
        """Create a project, start a session of it and join it."""
        self.event("/event/io/add_project/", name)
        return self.join(self.event("/event/io/start/", "MULTI", name))

    def join(self, session: int) -> Game:
        joined = self.event("/event/io/join/", session, "PARTICIPANT", "test")
        return Game(self, session, joined["apiToken"], joined["client"]["clientToken"])

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a metric; 0 when it is not there."""
        wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
        found = re.search(rf"^{name}{{{re.escape(wanted)}}} ([0-9.]+)$", requests.get(f"{self.url}/metrics", timeout=30).text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def logged(self, request_id: str) -> list[dict[str, Any]]:
        """Return the log lines of a request."""
        lines = [json.loads(line) for line in self.process.text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("request_id") == request_id]

    def client(self, **options: Any) -> RawClient:
        return RawClient(self.port, **options)


class Game:
    """A client in a session."""

    def __init__(self, service: Service, session: int, token: str, client: str) -> None:
        self.service = service
        self.session = session
        self.token = token
        self.client = client

    def headers(self) -> dict[str, str]:
        return {"token": self.token, "clientToken": self.client}

    def say(self, text: str = "hello") -> int:
        """Change the session: send a message."""
        found: int = self.service.event("/session/event/logic/MESSAGE_SEND/", 0, None, text, headers=self.headers())
        return found

    def kill(self) -> None:
        assert self.service.event("/event/io/kill/", self.session) is True

    def poll(
        self, known: Mapping[str, int] | None, *fields: str, path: str = "/api/session/update/", query: str = "f=JSON&timeout=20"
    ) -> bytes:
        """The bytes of a poll. fields: further header lines."""
        body = b"" if known is None else json.dumps(dict(known)).encode()
        lines = [f"POST {path}?{query} HTTP/1.1", "Host: x", f"token: {self.token}", f"clientToken: {self.client}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", *fields]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def ask(self, connection: RawClient, known: Mapping[str, int] | None = None) -> dict[str, int]:
        """Poll for what is there, and return the versions that a client then has."""
        connection.send(self.poll(known))
        answer = connection.answer()
        assert answer.status == 200, answer
        return learned(answer, known)


def learned(answer: Answer, known: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return the versions that a client has after an answer."""
    have = dict(known) if known else dict.fromkeys(LISTS, -1)
    told = answer.json()
    for kind in ("items", "deletes"):
        for name, items in told[kind].items():
            have[name] = max(have[name], *(one["version"] for one in items), -1)
    return have


def texts(answer: Answer) -> list[str]:
    """Return the messages in an answer."""
    return [one["text"] for one in answer.json()["items"].get("MESSAGES", ())]


@contextlib.contextmanager
def sessions_service(auth: FakeAuth, database: str, folder: Path, *, migrated: bool = False, **settings: str) -> Iterator[Service]:
    """Run the service for the length of a block. settings: its own."""
    env = {
        "SESSIONS_DATABASE_URL": database,
        "SESSIONS_AUTH_SECRET": "a secret",
        "SESSIONS_MASTER_KEY": "0123456789abcdef0123456789abcdef",
        "SESSIONS_DATA": str(folder / "sessions"),
        "AUTH_URL": auth.url,
        **settings,
    }
    with running("sessions", env, folder, migrated=migrated) as (url, process):
        yield Service(url, process)


@contextlib.contextmanager
def fake_auth() -> Iterator[FakeAuth]:
    auth = FakeAuth()
    auth.add_person("admin", PASSWORD, level="DOMAIN_ADMIN", domain="d")
    try:
        yield auth
    finally:
        auth.close()
