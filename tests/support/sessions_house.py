"""The sessions service in its house: behind the gateway, mounted as deployed, with users of two domains whom auth knows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.gateway import Gateway
from tests.support.processes import ROOT, Process, running

PASSWORD = "correct horse battery"
# name: level, domain
PEOPLE = {
    "admin": ("DOMAIN_ADMIN", "d"),
    "edit": ("EDITOR", "d"),
    "host": ("HOST_SESSION", "d"),
    "join": ("JOIN_ONLY", "d"),
    "out": ("EDITOR", "e"),
}
_SECRET = "the-secret-of-the-sessions-service"


@dataclass(frozen=True)
class House:
    """url: of the service's mount at the gateway. straight: of the service itself. auth: of auth itself."""

    gateway: Gateway
    service: Process
    straight: str
    auth: str

    @property
    def url(self) -> str:
        return f"{self.gateway.url}/sessions"

    def logs(self) -> str:
        """Return all that the service and the gateway have logged, the access log included."""
        access = self.gateway.access_log
        return self.service.text() + self.gateway.process.text() + (access.read_text() if access.exists() else "")


def email(name: str) -> str:
    """Return the user name of a person."""
    return f"{name}@example.org"


@contextlib.contextmanager
def sessions_auth(folder: Path) -> Iterator[str]:
    """Run auth with these people for the length of a block; gives its URL."""
    env = {
        "AUTH_DATABASE_URL": f"sqlite:///{folder}/auth.db",
        "AUTH_DATA": str(folder / "auth"),
        "AUTH_SERVICE_CLIENTS": f"sessions={_SECRET}",
        "AUTH_ADMIN_PASSWORD": PASSWORD,
        "AUTH_ARGON2_MEMORY_KIB": "8192",
        "AUTH_ARGON2_PASSES": "1",
    }
    with running("auth", env, folder) as (url, _):
        _settle(url)
        yield url


@contextlib.contextmanager
def sessions_house(
    auth: str, database_url: str, folder: Path, mounts: Sequence[str] = ("sessions", "sessions-host"), **settings: str
) -> Iterator[House]:
    """Run the service and the gateway before it for the length of a block. mounts: files of `deploy/apis/`. settings: the service's."""
    env = {
        "SESSIONS_DATABASE_URL": database_url,
        "SESSIONS_DATA": str(folder / "sessions"),
        "SESSIONS_AUTH_SECRET": _SECRET,
        "AUTH_URL": auth,
        **settings,
    }
    definitions = [json.loads((ROOT / f"deploy/apis/{name}.json").read_text()) for name in mounts]
    with running("sessions", env, folder) as (straight, service):
        gateway = Gateway(folder, definitions, {"UPSTREAM_SESSIONS": straight})
        try:
            yield House(gateway, service, straight, auth)
        finally:
            gateway.stop()


def _settle(url: str) -> None:
    """Create the domains and the people, as auth's administrator does."""

    def ask(path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        answer = requests.post(f"{url}{path}", json=body, headers=headers, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    login = ask("/login", {"email": "admin@gatehouse.local", "password": PASSWORD})
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    for domain in sorted({domain for _, domain in PEOPLE.values()}):
        ask("/domains", {"name": domain}, headers)
    for name, (level, domain) in PEOPLE.items():
        person = {"email": email(name), "full_name": name.title(), "password": PASSWORD, "domain": domain, "level": level}
        ask("/users", person, headers)
