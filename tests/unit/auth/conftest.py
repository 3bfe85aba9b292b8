"""The auth service in process, on both databases, with a clock that the test moves and cheap password checks."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from services.auth.app import build
from services.auth.models import db
from services.auth.settings import Settings
from services.auth.wiring import Parts
from services.common.clock import SettableClock
from services.common.http_client import Client
from services.common.identity.client import IdentityClient
from tests.support.stores import Prepare

if TYPE_CHECKING:
    from tests.unit.auth.browsing import Browser

ADMIN = "admin@gatehouse.local"
START = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
PASSWORD = "correct horse battery"
SERVICE = ("sessions", "the-secret-of-the-sessions-service")


class Auth:
    """The running service as a client sees it."""

    def __init__(self, app: Flask, clock: SettableClock) -> None:
        self.app = app
        self.clock = clock
        self.parts: Parts = app.extensions["auth"]

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        basic: tuple[str, str] | None = None,
        headers: dict[str, str] | None = None,
        address: str = "198.51.100.7",
        **options: Any,
    ) -> TestResponse:
        """One request. token: sent as Bearer; basic: sent as Basic; address: where it comes from."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if basic:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(basic).encode()).decode()
        if body is not None:
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        return self.app.test_client(use_cookies=False).open(
            path, method=method, headers=sent, environ_overrides={"REMOTE_ADDR": address}, **options
        )

    def log_in(self, email: str = ADMIN, password: str = PASSWORD, **options: Any) -> str:
        """An access JWT."""
        answer = self.ask("POST", "/login", {"email": email, "password": password}, **options)
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])

    def add_user(self, email: str, admin: str, **fields: Any) -> dict[str, Any]:
        body = {"email": email, "password": PASSWORD, "domain": "gatehouse", **fields}
        answer = self.ask("POST", "/users", body, token=admin)
        assert answer.status_code == 201, answer.text
        return dict(answer.json)

    def verify(self, token: str) -> TestResponse:
        return self.ask("POST", "/verify/token", {"token": token}, basic=SERVICE)

    def verify_basic(self, username: str, password: str, **more: str) -> TestResponse:
        return self.ask("POST", "/verify/basic", {"username": username, "password": password, **more}, basic=SERVICE)


def settings_for(url: str, folder: Path, **changes: Any) -> Settings:
    cheap = {"argon2_memory_kib": 64, "argon2_passes": 1, "hashers": 2}
    fixed = {"admin_password": PASSWORD, "service_clients": (SERVICE,), "data": folder / "auth"}
    return dataclasses.replace(Settings(), database_url=url, **{**cheap, **fixed, **changes})


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(START)


@pytest.fixture(scope="session")
def prepare_database(tmp_path_factory: pytest.TempPathFactory) -> Prepare | None:
    def prepare(url: str) -> None:
        parts: Parts = build(settings_for(url, tmp_path_factory.mktemp("auth")), SettableClock(START), key="k" * 32).extensions["auth"]
        db.metadata.create_all(parts.database.engine)
        parts.start()
        parts.close()
        parts.database.dispose()

    return prepare


@pytest.fixture
def auth(database_url: str, tmp_path: Path, clock: SettableClock) -> Iterator[Auth]:
    app = build(settings_for(database_url, tmp_path), clock, key="k" * 32)
    parts: Parts = app.extensions["auth"]
    yield Auth(app, clock)
    parts.close()


@pytest.fixture
def admin(auth: Auth) -> str:
    """The access JWT of the first administrator."""
    return auth.log_in()


@pytest.fixture
def browser(auth: Auth) -> Browser:
    """A browser in which the first administrator has signed in."""
    from tests.unit.auth.browsing import Browser

    signed_in = Browser(auth)
    assert signed_in.sign_in().location == "/account"
    return signed_in


@pytest.fixture
def served(auth: Auth) -> Iterator[str]:
    """The address of the service, served over HTTP."""
    server = make_server("127.0.0.1", 0, auth.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def identities(auth: Auth, served: str) -> Iterator[IdentityClient]:
    """A neighbour's client of the service."""
    http = Client(retries=0)
    yield IdentityClient(served, *SERVICE, issuer=auth.parts.settings.issuer, clock=auth.clock, http=http)
    http.close()
