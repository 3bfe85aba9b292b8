"""What many files of tests share: one gateway in front of one odd upstream, for the wire; devices and sessions, each in its house."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import containers
from tests.support.devices_house import Auth, DevicesHouse, devices_auth, devices_house
from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient
from tests.support.sessions_house import House, sessions_auth, sessions_house
from tests.support.stores import PostgreSQL, SQLite
from tests.support.waiting import free_port


def pytest_configure(config: pytest.Config) -> None:
    if containers.TAG:
        config.pluginmanager.register(containers.Plugin(), "containers")


@pytest.fixture(scope="session")
def odd_upstream() -> Iterator[OddUpstream]:
    upstream = OddUpstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def own_postgresql() -> Iterator[PostgreSQL]:
    """A server that only the tests of one file have, because they stop it."""
    server = PostgreSQL()
    yield server
    server.go_on()
    server.close()


@pytest.fixture(scope="session")
def wire_gateway(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The odd upstream under `/odd/`, `/hasty/` (short time-outs), `/small/` and `/middling/` (bodies up to 1,000 and
    100,000 bytes), `/keyed/`; `/dead/`: nobody. `/shaped/`, and all of the host `shaped.test`: refusals of its own shape."""
    shape = {"error_template": {"status": False, "message": "{{.Message}}", "code": "{{.Code}}"}}
    definitions = [
        definition("odd", f"{odd_upstream.url}/", proxy={"pass_trailers": ["X-Sum"]}),
        definition("hasty", f"{odd_upstream.url}/", proxy={"timeouts": {"connect": 1, "first_byte": 1, "idle": 1}}),
        definition("dead", f"http://127.0.0.1:{free_port()}/"),
        definition("small", f"{odd_upstream.url}/", version={"global_size_limit": 1000}),
        definition("middling", f"{odd_upstream.url}/", version={"global_size_limit": 100_000}),
        definition("keyed", f"{odd_upstream.url}/", use_keyless=False, auth={"auth_header_name": "authorization", "use_param": True}),
        definition("shaped", f"{odd_upstream.url}/", version={"global_size_limit": 1000}, **shape),
        definition("shaped-host", f"{odd_upstream.url}/", domain="shaped.test", proxy={"listen_path": "/"}, **shape),
    ]
    with gateway(tmp_path_factory.mktemp("wire"), definitions) as running:
        yield running


@pytest.fixture
def client(wire_gateway: Gateway) -> Iterator[RawClient]:
    """A connection to that gateway."""
    with RawClient(wire_gateway.port) as connection:
        yield connection


@pytest.fixture(scope="session")
def auth_of_devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Auth]:
    with devices_auth(tmp_path_factory.mktemp("auth")) as running:
        yield running


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def devices_at_home(
    request: pytest.FixtureRequest, auth_of_devices: Auth, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DevicesHouse]:
    """The service devices behind the gateway, with auth, on each store; its database is never emptied."""
    store: SQLite | PostgreSQL = request.getfixturevalue(request.param)
    with devices_house(auth_of_devices, store.new_database(), tmp_path_factory.mktemp("devices")) as running:
        yield running


@pytest.fixture(scope="session")
def auth_of_sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sessions_auth(tmp_path_factory.mktemp("auth")) as url:
        yield url


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def sessions_at_home(request: pytest.FixtureRequest, auth_of_sessions: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The service sessions behind the gateway, with auth, on each store; its database is never emptied."""
    store: SQLite | PostgreSQL = request.getfixturevalue(request.param)
    with sessions_house(auth_of_sessions, store.new_database(), tmp_path_factory.mktemp("sessions")) as running:
        yield running


@pytest.fixture
def short_sessions(auth_of_sessions: str, sqlite_url: str, tmp_path: Path) -> Iterator[House]:
    """The same, where a session ends after the shortest silence that can be set."""
    with sessions_house(auth_of_sessions, sqlite_url, tmp_path, SESSIONS_TIMEOUT="10") as running:
        yield running
