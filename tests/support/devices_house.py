"""The devices service in its house: behind the gateway, mounted as deployed, with tokens of people and programs that auth issued."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.gateway import Gateway
from tests.support.processes import ROOT, running

_SECRET = "the-secret-of-the-devices-service"


@dataclass(frozen=True)
class Auth:
    """url: of auth itself. admin: the headers of its first person."""

    url: str
    admin: dict[str, str]

    def token(self, kind: str = "account", **more: Any) -> str:
        """Issue a token of the house to the first person. more: `permission`, `policy`, `expires_in`, as `/me/tokens` has them."""
        body = {"kind": kind, "label": f"{kind} of a test", **more}
        answer = requests.post(f"{self.url}/me/tokens", json=body, headers=self.admin, timeout=10)
        assert answer.status_code == 201, answer.text
        secret: str = answer.json()["secret"]
        return secret


@dataclass(frozen=True)
class DevicesHouse:
    """port: of the gateway. url: of the service's mount there. straight: of the service itself."""

    port: int
    url: str
    straight: str
    auth: Auth


@contextlib.contextmanager
def devices_auth(folder: Path) -> Iterator[Auth]:
    """Run auth for the length of a block."""
    env = {
        "AUTH_DATABASE_URL": f"sqlite:///{folder}/auth.db",
        "AUTH_DATA": str(folder / "auth"),
        "AUTH_SERVICE_CLIENTS": f"devices={_SECRET}",
        "AUTH_ARGON2_MEMORY_KIB": "8192",
        "AUTH_ARGON2_PASSES": "1",
    }
    with running("auth", env, folder) as (url, _):
        password = (folder / "auth" / "admin.password").read_text().strip()
        login = requests.post(f"{url}/login", json={"email": "admin@gatehouse.local", "password": password}, timeout=10)
        yield Auth(url, {"Authorization": f"Bearer {login.json()['access_token']}"})


@contextlib.contextmanager
def devices_house(
    auth: Auth, database_url: str, folder: Path, mounts: Sequence[str] = ("devices", "devices-host")
) -> Iterator[DevicesHouse]:
    """Run the service and the gateway before it for the length of a block. mounts: files of `deploy/apis/`."""
    env = {
        "DEVICES_DATABASE_URL": database_url,
        "DEVICES_DATA": str(folder / "devices"),
        "DEVICES_AUTH_SECRET": _SECRET,
        "AUTH_URL": auth.url,
    }
    definitions = [json.loads((ROOT / f"deploy/apis/{name}.json").read_text()) for name in mounts]
    with running("devices", env, folder) as (straight, _):
        gateway = Gateway(folder, definitions, {"UPSTREAM_DEVICES": straight})
        try:
            yield DevicesHouse(gateway.port, f"{gateway.url}/devices", straight, auth)
        finally:
            gateway.stop()
