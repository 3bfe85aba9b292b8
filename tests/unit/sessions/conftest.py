"""A migrated sessions application on each store, with a clock that tests move and an auth service that knows its people."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from services.common.clock import SettableClock
from services.common.migrations import migrate
from services.sessions.app import build
from services.sessions.settings import Settings
from services.sessions.wiring import Parts
from tests.support.applications import Applications
from tests.support.fake_auth import FakeAuth
from tests.support.stores import Prepare, SQLite

PASSWORD = "correct horse battery"
# name: level, domain
PEOPLE = {
    "join": ("JOIN_ONLY", "d"),
    "host": ("HOST_SESSION", "d"),
    "edit": ("EDITOR", "d"),
    "edit2": ("EDITOR", "d"),
    "admin": ("DOMAIN_ADMIN", "d"),
    "root": ("SUPER_USER", "s"),
    "none": ("NONE", "d"),
    "out": ("EDITOR", "e"),
}


@pytest.fixture(scope="session")
def house() -> Iterator[FakeAuth]:
    auth = FakeAuth()
    for name, (level, domain) in PEOPLE.items():
        auth.add_person(name, PASSWORD, level=level, domain=domain)
    yield auth
    auth.close()


@dataclass(frozen=True)
class Joined:
    """What a joined client has. id: of its session."""

    id: int
    token: str
    client: str


class API:
    """Requests to one application."""

    def __init__(self, app: Flask, clock: SettableClock) -> None:
        self.app = app
        self.clock = clock
        self.parts: Parts = app.extensions["sessions"]

    def send(self, method: str, path: str, who: str | None = None, **options: Any) -> TestResponse:
        """who: name of a person. options: werkzeug's (`json`, `data`, `headers`, …)."""
        auth = (f"{who}@example.org", PASSWORD) if who else None
        return self.app.test_client().open(path, method=method, auth=auth, **options)

    def get(self, path: str, who: str | None = None, **query: Any) -> TestResponse:
        return self.send("GET", path, who, query_string={"f": "JSON", **query})

    def io(self, name: str, who: str | None, *values: Any) -> TestResponse:
        """Fire a root event as clients of 2015 do."""
        return self.send("POST", f"/api/services/event/IOServicesEventType/{name}/?f=JSON", who, json=list(values))

    def fire(self, name: str, joined: Joined, *values: Any, group: str = "PlayerEventType") -> TestResponse:
        """Fire an event in a session. group: the set of events."""
        headers = {"token": joined.token, "clientToken": joined.client}
        return self.send("POST", f"/api/session/event/{group}/{name}/?f=JSON", json=list(values), headers=headers)

    def items(self, joined: Joined, name: str) -> Any:
        """The items of a list."""
        return value(self.get(f"/api/session/items/{name}/", token=joined.token))

    def project(self, name: str = "demo", who: str = "edit") -> str:
        """Create a project, and return its name."""
        value(self.io("CREATE_NEW_PROJECT", who, name))
        return name

    def start(self, project: str = "demo", kind: str = "MULTI", who: str = "edit") -> int:
        """Start a session, and return its id."""
        found: int = value(self.io("START_NEW_SESSION", who, kind, project))
        return found

    def join(self, session_id: int, who: str = "join", app: str = "VIEWER", *more: Any) -> Joined:
        """Join a session."""
        found = value(self.io("JOIN_SESSION", who, session_id, app, *more))
        return Joined(session_id, found["serverToken"], found["client"]["clientToken"])

    def running(self) -> int:
        """Create a project and start a session of it; return its id."""
        return self.start(self.project())


def value(answer: TestResponse, status: int = 200) -> Any:
    """What a good answer holds."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    return answer.json


def refused(answer: TestResponse, status: int, text: str) -> None:
    """Check the answer of a refusal: plain text that begins with `text`."""
    assert (answer.status_code, answer.mimetype) == (status, "text/plain"), answer.text
    assert answer.text.startswith(text), answer.text


MakeAPI = Callable[..., API]


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    return functools.partial(migrate, "sessions")


@pytest.fixture(scope="session")
def apps() -> Applications:
    return Applications("sessions", build, Parts)


@contextlib.contextmanager
def making(apps: Applications, database_url: str, folder: Path, house: FakeAuth) -> Iterator[MakeAPI]:
    """Let a block make applications on one database, with one clock."""
    clock = SettableClock()
    usual = {"auth_url": house.url, "auth_secret": "secret", "data": folder, "database_url": database_url}
    with apps.lending(clock) as lend:
        yield lambda **chosen: API(lend(dataclasses.replace(Settings(), **{**usual, **chosen})), clock)


@pytest.fixture
def make_api(apps: Applications, database_url: str, tmp_path: Path, house: FakeAuth) -> Iterator[MakeAPI]:
    """Builds applications on the same migrated database, each as another process would have it; settings by name."""
    with making(apps, database_url, tmp_path, house) as make:
        yield make


@pytest.fixture
def api(make_api: MakeAPI) -> API:
    return make_api()


@pytest.fixture(scope="module")
def sqlite_api(
    apps: Applications, sqlite: SQLite, prepare_database: Prepare | None, tmp_path_factory: pytest.TempPathFactory, house: FakeAuth
) -> Iterator[API]:
    """An application on SQLite that the tests of a file share: for what no store takes part in, and what is refused."""
    with making(apps, sqlite.new_database(prepare_database), tmp_path_factory.mktemp("sessions"), house) as make:
        yield make()


@pytest.fixture(scope="module")
def sqlite_joined(sqlite_api: API) -> Joined:
    """A client in a session there, both of which are left as they are."""
    return sqlite_api.join(sqlite_api.running())
