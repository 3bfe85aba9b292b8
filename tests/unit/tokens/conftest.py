"""A migrated tokens application on each store, with a clock that tests move."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.common.clock import SettableClock
from services.common.database import Database
from services.common.migrations import migrate
from services.tokens.app import build
from services.tokens.settings import Settings
from tests.support.stores import Prepare

SECRET = "a secret of more than thirty-two bytes"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"><rect width="4" height="3" fill="#ff6868"/></svg>'


def role(subject: str | None, **claims: Any) -> dict[str, str]:
    """The header of a role token."""
    held = {"sub": subject, **claims} if subject else claims
    return {"Authorization": "Bearer " + jwt.encode(held, SECRET, "HS256")}


EX, GEN, ADM, PUB = (role(name) for name in ("exhibition", "generator", "admin", "public"))


class API:
    """Requests to one application, as the roles."""

    def __init__(self, app: Flask, clock: SettableClock) -> None:
        self.app = app
        self.clock = clock

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> TestResponse:
        return self.client.get(path, headers=headers, query_string=query)

    def put(self, svg: str = SVG, headers: dict[str, str] | None = None, **other: Any) -> TestResponse:
        body = {"svg": svg, "generated": "2021-05-01T00:00:00Z", "keywords": ["a", "b", "c"], **other}
        return self.client.put("/token", data=json.dumps(body), headers=GEN if headers is None else headers)

    def token(self, svg: str = SVG) -> str:
        answer = self.put(svg)
        assert answer.status_code == 200, answer.text
        found: str = answer.json["id"]
        return found

    def requested(self) -> str:
        answer = self.get("/request_interaction", EX)
        assert answer.status_code == 200, answer.text
        found: str = answer.json["id"]
        return found

    def deposit(self, interaction: str, keywords: str = "a,b,c") -> TestResponse:
        return self.get("/deposit_interaction", EX, id=interaction, keywords=keywords)

    def deposited(self, keywords: str = "a,b,c") -> str:
        interaction = self.requested()
        answer = self.deposit(interaction, keywords)
        assert answer.status_code == 200, answer.text
        return interaction

    def update(self, interaction: str, **query: Any) -> TestResponse:
        return self.get("/update_interaction", GEN, id=interaction, **query)

    def poll(self, interaction: str, **query: Any) -> TestResponse:
        return self.get("/interaction_updates", EX, id=interaction, **{"timeout": 0, **query})

    def poll_new(self, **query: Any) -> TestResponse:
        return self.get("/new_interaction_updates", GEN, **{"timeout": 0, **query})


MakeAPI = Callable[..., API]


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    return functools.partial(migrate, "tokens")


@pytest.fixture
def make_api(database_url: str, tmp_path: Path) -> Iterator[MakeAPI]:
    """Builds applications on the same migrated database; settings by name."""
    made: list[Flask] = []
    clock = SettableClock()

    def make(**chosen: Any) -> API:
        settings = dataclasses.replace(
            Settings(), database_url=database_url, jwt_secret=SECRET, png_cache=tmp_path / "png", auth_url="http://127.0.0.1:9", **chosen
        )
        app = build(settings, clock)
        made.append(app)
        return API(app, clock)

    yield make
    for app in made:
        app.extensions["tokens"].close()


@pytest.fixture
def api(make_api: MakeAPI) -> API:
    return make_api()


@pytest.fixture
def database(api: API) -> Database:
    found: Database = api.app.extensions["database"]
    return found
