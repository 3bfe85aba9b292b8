"""How the contract test starts each service, and as whom it asks: a new service gets a line in `SERVICES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

import jwt
import requests

_SECRET = "a secret of more than thirty-two bytes"
_CLIENT = ("sessions", "the-secret-of-the-sessions-service")
_PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Service:
    """A service to be asked.

    environment: its settings besides the database, in a folder of its own. caller: the headers of one who may do everything, from its
    address. at_once: query parameters that keep a call from waiting. bare: calls whose 200 has no schema:
    no body, or an image.
    """

    environment: Callable[[Path], Mapping[str, str]]
    caller: Callable[[str], Mapping[str, str]]
    at_once: Mapping[str, object] = field(default_factory=dict)
    bare: Set[str] = frozenset()


def _environment_of_auth(folder: Path) -> Mapping[str, str]:
    return {
        "AUTH_DATA": str(folder / "auth"),
        "AUTH_ADMIN_PASSWORD": _PASSWORD,
        "AUTH_SERVICE_CLIENTS": "=".join(_CLIENT),
        "AUTH_ARGON2_MEMORY_KIB": "8192",
        "AUTH_ARGON2_PASSES": "1",
    }


def _administrator(url: str) -> Mapping[str, str]:
    body = {"email": "admin@gatehouse.local", "password": _PASSWORD}
    answer = requests.post(f"{url}/login", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _environment_of_tokens(folder: Path) -> Mapping[str, str]:
    return {"TOKENS_JWT_SECRET": _SECRET, "TOKENS_PNG_CACHE": str(folder / "png"), "AUTH_URL": "http://127.0.0.1:9"}


def _admin_role(url: str) -> Mapping[str, str]:
    return {"Authorization": "Bearer " + jwt.encode({"sub": "admin"}, _SECRET, "HS256")}


_BARE = frozenset(
    {
        "GET /svg", "GET /png", "DELETE /token", "DELETE /tokens", "GET /deposit_interaction", "POST /deposit_interaction",
        "POST /leave_interaction", "GET /update_interaction", "POST /update_interaction",
    }
)  # fmt: skip

SERVICES: Mapping[str, Service] = {
    "auth": Service(_environment_of_auth, _administrator),
    "tokens": Service(_environment_of_tokens, _admin_role, at_once={"timeout": 0}, bare=_BARE),
}
