"""A migrated mobility application on each store, with a clock that tests move and an auth service that knows its owners."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from services.common.clock import SettableClock
from services.common.database import Database
from services.common.migrations import migrate
from services.mobility.app import build
from services.mobility.models import Layer, db
from services.mobility.reads.service.lists import Lists
from services.mobility.settings import Settings
from services.mobility.wiring import Parts
from tests.support.applications import Applications
from tests.support.fake_auth import FakeAuth
from tests.support.stores import Prepare, SQLite
from tests.support.waiting import wait_until

PASSWORD = "correct horse battery"
A, B, ROOT = "a", "b", "root"  # owners: of the domain `a` with the layer `a.rail`, of `b` with `b.poi`, and the super user
STATION = "n46419880"  # the node that every installation begins with, of the layer osm


@pytest.fixture(scope="session")
def house() -> Iterator[FakeAuth]:
    auth = FakeAuth()
    auth.add_person(A, PASSWORD, level="EDITOR", domain="d", layer_domains=("a",))
    auth.add_person(B, PASSWORD, level="EDITOR", domain="d", layer_domains=("b",))
    auth.add_person(ROOT, PASSWORD, level="SUPER_USER", domain="d")
    yield auth
    auth.close()


class API:
    """Requests to one application. by: an owner, whose session key is kept; None for nobody."""

    def __init__(self, app: Flask, clock: SettableClock) -> None:
        self.app = app
        self.clock = clock
        self.parts: Parts = app.extensions["mobility"]
        self._keys: dict[str, str] = {}

    def send(
        self, method: str, path: str, by: str | None = None, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> TestResponse:
        """options: werkzeug's (`json`, `data`, `query_string`, …)."""
        shown = {**({"X-Auth": self.key(by)} if by else {}), **(headers or {})}
        return self.app.test_client().open(path, method=method, headers=shown, **options)

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.send("GET", path, query_string=query)

    def put(self, path: str, json: Any = None, by: str | None = A, **options: Any) -> TestResponse:
        return self.send("PUT", path, by, json=json, **options)

    def delete(self, path: str, by: str | None = A, **options: Any) -> TestResponse:
        return self.send("DELETE", path, by, **options)

    def login(self, by: str, password: str = PASSWORD) -> TestResponse:
        return self.get("/get_session", e=f"{by}@example.org", p=password)

    def key(self, by: str) -> str:
        """The session key of an owner; a new one when there is none or it has ended."""
        key = self._keys.get(by)
        if key is None or not self._alive(key):
            key = self._keys[by] = good(self.login(by))["results"][0]
        return key

    def _alive(self, key: str) -> bool:
        with contextlib.suppress(Exception):
            return bool(self.parts.sessions.caller(key))
        return False

    def bulk(self, layer: str, nodes: Sequence[Mapping[str, Any]], by: str = A, **params: Any) -> Any:
        """Write nodes by the bulk call; return the results. params: of `create`."""
        body = {"create": {"params": {"create_type": "create", **params}}, "nodes": list(nodes)}
        return good(self.put(f"/nodes/{layer}", body, by))["create"]["results"]


def good(answer: TestResponse, status: int = 200) -> Any:
    """The body of a good answer."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    body: Any = answer.json
    assert body["status"] == "success"
    return body


def refused(answer: TestResponse, status: int, message: object) -> Any:
    """Check the answer of a refusal; return its body."""
    assert (answer.status_code, answer.mimetype) == (status, "application/json"), answer.text
    body: Any = answer.json
    assert (body["status"], body["message"]) == ("fail", message)
    return body


def insist(ask: Callable[[], TestResponse]) -> TestResponse:
    """Ask again while the service says that it waited too long for a lock, as it may on a machine that is busy."""
    answers: list[TestResponse] = []

    def answered() -> bool:
        answers.append(ask())
        return answers[-1].status_code != 503

    wait_until(answered, 60, "an answer")
    return answers[-1]


def point(lon: float, lat: float) -> dict[str, Any]:
    """A point as GeoJSON."""
    return {"type": "Point", "coordinates": [lon, lat]}


MakeAPI = Callable[..., API]


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    return prepare


def prepare(url: str) -> None:
    """Migrate a database, and add the layers `a.rail` and `b.poi`."""
    migrate("mobility", url)
    database = Database(db, url)
    try:
        with database.transaction() as session:
            session.add_all(new_layer(owner, name) for owner, name in ((A, "a.rail"), (B, "b.poi")))
    finally:
        database.dispose()


def new_layer(owner: str, name: str) -> Layer:
    return Layer(
        name=name,
        category="mobility.x",
        organization="o",
        description="d",
        owner_id=owner,
        owner=f"{owner}@example.org",
        data_sources=[],
        realtime=False,
        status="",
    )


@pytest.fixture(scope="session")
def apps() -> Applications:
    return Applications("mobility", build, Parts)


@contextlib.contextmanager
def making(apps: Applications, database_url: str, house: FakeAuth) -> Iterator[MakeAPI]:
    """Let a block make applications on one database, with one clock."""
    clock = SettableClock()
    usual = {"auth_url": house.url, "auth_secret": "secret", "database_url": database_url}
    with apps.lending(clock) as lend:

        def make(**chosen: Any) -> API:
            api = API(lend(dataclasses.replace(Settings(), **{**usual, **chosen})), clock)
            api.parts.lists = Lists(api.parts.database, deadline_s=60)  # on a machine that is busy a list may take long
            return api

        yield make


@pytest.fixture
def make_api(apps: Applications, database_url: str, house: FakeAuth) -> Iterator[MakeAPI]:
    """Builds applications on the same migrated database, each as another process would have it; settings by name."""
    with making(apps, database_url, house) as make:
        yield make


@pytest.fixture
def api(make_api: MakeAPI) -> API:
    return make_api()


@pytest.fixture(scope="module")
def sqlite_api(apps: Applications, sqlite: SQLite, prepare_database: Prepare | None, house: FakeAuth) -> Iterator[API]:
    """An application on SQLite that the tests of a file share: for what no store takes part in, and what is refused."""
    with making(apps, sqlite.new_database(prepare_database), house) as make:
        yield make()
