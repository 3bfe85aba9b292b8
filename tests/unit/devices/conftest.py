"""A migrated devices application on each store, with a clock that tests move and an auth service that knows its tokens."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from services.common.clock import SettableClock
from services.common.migrations import migrate
from services.devices.app import build
from services.devices.settings import Settings
from services.devices.wiring import Parts
from tests.support.applications import Applications
from tests.support.fake_auth import FakeAuth
from tests.support.stores import Prepare, SQLite

# Tokens of the house: whose they are, and what they may do.
ACC, ACC2 = "gh_acc_one", "gh_acc_two"  # of the accounts `one` and `two`
ACC_READ, ACC_WRITE = "gh_acc_read", "gh_acc_write"  # of `one`, with only this permission
ANALYSIS = "gh_ana_all"  # of `one`, all devices
ANALYSIS_READ = "gh_ana_read"  # of `one`, may only read devices
NETWORK, NETWORK2 = "gh_mid_one", "gh_mid_two"  # middleware tokens of both accounts


@pytest.fixture(scope="session")
def house() -> Iterator[FakeAuth]:
    auth = FakeAuth()
    auth.add(ACC, "one")
    auth.add(ACC2, "two")
    auth.add(ACC_READ, "one", permission="read")
    auth.add(ACC_WRITE, "one", permission="write")
    auth.add(ANALYSIS, "one", "analysis", policy={"device": ["access", "write"]})
    auth.add(ANALYSIS_READ, "one", "analysis", policy={"device": ["access"]})
    auth.add(NETWORK, "one", "middleware", policy={"device": ["access"]})
    auth.add(NETWORK2, "two", "middleware", policy={"device": ["access"]})
    yield auth
    auth.close()


@dataclass(frozen=True)
class MadeDevice:
    """A device that a test made. token: its Default one."""

    id: str
    token: str


class API:
    """Requests to one application. token: sent as `Token`, which takes tokens of any type."""

    def __init__(self, app: Flask, clock: SettableClock, auth: FakeAuth) -> None:
        self.app = app
        self.clock = clock
        self.auth = auth
        self.parts: Parts = app.extensions["devices"]

    def send(
        self, method: str, path: str, token: str | None = None, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> TestResponse:
        """options: werkzeug's (`json`, `data`, `query_string`, …)."""
        shown = {**({"Token": token} if token else {}), **(headers or {})}
        return self.app.test_client().open(path, method=method, headers=shown, **options)

    def get(self, path: str, token: str | None = ACC, **options: Any) -> TestResponse:
        return self.send("GET", path, token, **options)

    def post(self, path: str, json: Any = None, token: str | None = ACC, **options: Any) -> TestResponse:
        return self.send("POST", path, token, json=json, **options)

    def put(self, path: str, json: Any = None, token: str | None = ACC, **options: Any) -> TestResponse:
        return self.send("PUT", path, token, json=json, **options)

    def delete(self, path: str, token: str | None = ACC, **options: Any) -> TestResponse:
        return self.send("DELETE", path, token, **options)

    def device(self, name: str = "a device", *, by: str = ACC, **fields: Any) -> MadeDevice:
        """Create a device: mutable, unless `fields` say otherwise."""
        made = result(self.post("/device", {"name": name, "type": "mutable", **fields}, by), 201)
        return MadeDevice(made["device_id"], made["token"])

    def immutable(self, name: str = "an immutable device", *, by: str = ACC, **fields: Any) -> MadeDevice:
        """Create an immutable device: chunks of a day, three of them kept, unless `fields` say otherwise."""
        return self.device(name, by=by, **{"type": "immutable", "chunk_period": "day", "chunk_retention": 3, **fields})


def result(answer: TestResponse, status: int = 200) -> Any:
    """What a good answer carries."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    assert answer.json["status"] is True
    return answer.json["result"]


def refused(answer: TestResponse, status: int, message: str) -> Mapping[str, list[str]]:
    """Check the answer of a refusal; return what is wrong by field."""
    assert (answer.status_code, answer.json["status"], answer.json["message"]) == (status, False, message), answer.text
    assert answer.mimetype == "application/json"
    assert answer.json.keys() <= {"status", "message", "field_errors"}
    found: Mapping[str, list[str]] = answer.json.get("field_errors", {})
    return found


MakeAPI = Callable[..., API]


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    return functools.partial(migrate, "devices")


class Apps(Applications):
    """Applications of devices. Limits are compared with the routes when they are made, so those have one of their own."""

    def take(self, settings: Settings, clock: SettableClock) -> Flask:
        if settings.rate_limits:
            return build(settings, clock)
        app = super().take(settings, clock)
        app.extensions["checks"].add("limits", app.extensions["devices"].counter.check)
        return app


@pytest.fixture(scope="session")
def apps() -> Apps:
    return Apps("devices", build, Parts)


@contextlib.contextmanager
def making(apps: Apps, database_url: str, folder: Path, house: FakeAuth) -> Iterator[MakeAPI]:
    """Let a block make applications on one database, with one clock."""
    clock = SettableClock()
    usual = {"auth_url": house.url, "auth_secret": "a secret", "data": folder / "devices"}
    with apps.lending(clock) as lend:
        yield lambda **chosen: API(lend(dataclasses.replace(Settings(), database_url=database_url, **{**usual, **chosen})), clock, house)


@pytest.fixture
def make_api(apps: Apps, database_url: str, tmp_path: Path, house: FakeAuth) -> Iterator[MakeAPI]:
    """Builds applications on the same migrated database, each as another process would have it; settings by name."""
    with making(apps, database_url, tmp_path, house) as make:
        yield make


@pytest.fixture
def api(make_api: MakeAPI) -> API:
    return make_api()


@pytest.fixture(scope="module")
def sqlite_api(
    apps: Apps, sqlite: SQLite, prepare_database: Prepare | None, tmp_path_factory: pytest.TempPathFactory, house: FakeAuth
) -> Iterator[API]:
    """An application on SQLite that the tests of a file share: for what no store takes part in, and what is refused."""
    with making(apps, sqlite.new_database(prepare_database), tmp_path_factory.mktemp("devices"), house) as make:
        yield make()


@pytest.fixture(scope="module")
def sqlite_device(sqlite_api: API) -> MadeDevice:
    """A device there, which is left as it is: mutable, without a record."""
    return sqlite_api.device("a device of all tests")
