"""The sessions service, asked by an editor who has joined a session of their own, whom a stand-in for auth knows."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from tests.contract.service import Service
from tests.support.fake_auth import FakeAuth

_PASSWORD = "correct horse battery"
_SLOT = 1_234_567  # no number that would be tried: nobody ends this session


def _environment(folder: Path) -> Mapping[str, str]:
    auth = FakeAuth()
    atexit.register(auth.close)
    auth.add_person("edit", _PASSWORD, level="SUPER_USER", domain="d")
    return {"AUTH_URL": auth.url, "SESSIONS_AUTH_SECRET": "a secret", "SESSIONS_DATA": str(folder / "sessions")}


def _joined(url: str) -> Mapping[str, str]:
    def fire(name: str, *values: Any) -> Any:
        address = f"{url}/api/services/event/IOServicesEventType/{name}/?f=JSON"
        answer = requests.post(address, json=list(values), auth=("edit@example.org", _PASSWORD), timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    fire("CREATE_NEW_PROJECT", "contract")
    session = fire("START_NEW_SESSION", "MULTI", "contract", "EN", _SLOT)
    joined = fire("JOIN_SESSION", session, "EDITOR", "contract test")
    basic = requests.Request("GET", url, auth=("edit@example.org", _PASSWORD)).prepare().headers["Authorization"]
    return {"Authorization": basic, "token": joined["apiToken"], "clientToken": joined["client"]["clientToken"]}


SERVICE = Service(_environment, _joined, at_once={"timeout": 0})
