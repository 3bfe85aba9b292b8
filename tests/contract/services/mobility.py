"""The mobility service, asked with the token of a super user, which a stand-in for auth knows."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from pathlib import Path

from tests.contract.service import Service
from tests.support.fake_auth import FakeAuth

_TOKEN = "gh_acc_contract"


def _environment(folder: Path) -> Mapping[str, str]:
    auth = FakeAuth()
    atexit.register(auth.close)
    auth.add(_TOKEN, "one", level="SUPER_USER")
    return {"AUTH_URL": auth.url, "MOBILITY_AUTH_SECRET": "a secret"}


def _owner(url: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {_TOKEN}"}


SERVICE = Service(_environment, _owner)
