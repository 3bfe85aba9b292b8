"""The auth service, asked by its administrator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import requests

from tests.contract.service import Service

_CLIENT = ("sessions", "the-secret-of-the-sessions-service")
_PASSWORD = "correct horse battery"


def _environment(folder: Path) -> Mapping[str, str]:
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


SERVICE = Service(_environment, _administrator)
