"""The devices service, asked with the token of an account, which a stand-in for auth knows."""

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
    auth.add(_TOKEN, "one")
    return {"AUTH_URL": auth.url, "DEVICES_AUTH_SECRET": "a secret", "DEVICES_DATA": str(folder / "devices")}


def _account(url: str) -> Mapping[str, str]:
    return {"Account-Token": _TOKEN}


SERVICE = Service(_environment, _account)
