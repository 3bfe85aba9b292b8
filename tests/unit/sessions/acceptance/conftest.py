"""The acceptance cases of the sessions API, on each store; where it matters in both modes of `strict_status`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.sessions.settings import MODERN, SEED
from tests.unit.sessions.conftest import API, Joined, MakeAPI

JSON_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}


@dataclass(frozen=True)
class Mode:
    """How missing rights and bad tokens are told. rights, token, ended, released: the status of each."""

    name: str
    rights: int
    token: int
    ended: int
    released: int


SEEDS, MODERNS = Mode(SEED, 400, 400, 400, 400), Mode(MODERN, 403, 401, 404, 410)


BOTH_MODES = pytest.mark.parametrize(("mode", "database_url"), [(SEEDS, "sqlite"), (MODERNS, "postgresql")], indirect=["database_url"])


@pytest.fixture
def moded(make_api: MakeAPI, mode: Mode) -> API:
    """The application in this mode."""
    return make_api(strict_status=mode.name)


def post(api: API, path: str, who: str | None, body: str | bytes) -> TestResponse:
    """Send a body as it is, as JSON."""
    return api.send("POST", f"{path}?f=JSON", who, data=body, headers=JSON_HEADERS)


def io(name: str) -> str:
    """The address of a root event."""
    return f"/api/services/event/IOServicesEventType/{name}/"


def update(api: API, joined: Joined, known: dict[str, Any], **query: Any) -> TestResponse:
    """Poll for updates."""
    headers = {"token": joined.token, "clientToken": joined.client}
    return api.send("POST", "/api/session/update/", json=known, headers=headers, query_string={"f": "JSON", **query})


def at_once(*calls: Any) -> list[TestResponse]:
    """Make calls in threads, all at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [answer.result(60) for answer in [pool.submit(call) for call in calls]]
