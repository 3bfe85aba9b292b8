"""The tokens service, asked with the role `admin`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import jwt

from tests.contract.service import Service

_SECRET = "a secret of more than thirty-two bytes"
_BARE = frozenset(
    {
        "GET /svg", "GET /png", "DELETE /token", "DELETE /tokens", "GET /deposit_interaction", "POST /deposit_interaction",
        "POST /leave_interaction", "GET /update_interaction", "POST /update_interaction",
    }
)  # fmt: skip


def _environment(folder: Path) -> Mapping[str, str]:
    return {"TOKENS_JWT_SECRET": _SECRET, "TOKENS_PNG_CACHE": str(folder / "png"), "AUTH_URL": "http://127.0.0.1:9"}


def _admin(url: str) -> Mapping[str, str]:
    return {"Authorization": "Bearer " + jwt.encode({"sub": "admin"}, _SECRET, "HS256")}


SERVICE = Service(_environment, _admin, at_once={"timeout": 0}, bare=_BARE)
