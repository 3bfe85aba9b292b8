"""A gateway that starts while its database is away serves the copy of the definitions, and finds back by itself."""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.freezing import hanging, locked
from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.processes import get
from tests.support.stores import PostgreSQL, Valkey
from tests.support.waiting import wait_until

IGNORED = {"use_extended_paths": False, "paths": {"ignored": ["^/open"], "white_list": [], "black_list": []}}


@pytest.fixture
def apis(odd_upstream: OddUpstream) -> list[dict[str, Any]]:
    return [
        definition("free", f"{odd_upstream.url}/"),
        definition("keyed", f"{odd_upstream.url}/", use_keyless=False, version=IGNORED),
        definition("owned", f"{odd_upstream.url}/", org_id="off"),
    ]


def away(running: Gateway, server: PostgreSQL | None) -> AbstractContextManager[None]:
    return hanging(server) if server else locked(running.folder / "gateway.db", exclusive=True)


@pytest.fixture(params=["postgresql", "sqlite"])
def server(request: pytest.FixtureRequest) -> PostgreSQL | None:
    """None = SQLite."""
    return request.getfixturevalue("own_postgresql") if request.param == "postgresql" else None


def of(server: PostgreSQL | None) -> dict[str, str]:
    return {"GATEWAY_GRACEFUL_TIMEOUT": "6", **({"GATEWAY_DATABASE_URL": server.new_database()} if server else {})}


def status(running: Gateway, path: str, key: str = "") -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"authorization": key} if key else {})
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body).get("code") if answer.status >= 400 else None


def told(running: Gateway, path: str) -> tuple[int, Any]:
    answered, body = get(running.operator_port, path, 20)
    return answered, json.loads(body)


def copied(running: Gateway, api_id: str) -> bool:
    file = running.folder / "gateway.db.definitions"
    return file.exists() and f'"api_id": "{api_id}"' in file.read_text()


def new_key(running: Gateway) -> str:
    answered, body = running.operator("POST", "/api/keys", {"rate": 0, "per": 0})
    assert answered == 200, body
    key: str = body["key_id"]
    return key


def test_the_copy_is_served_until_the_database_is_back(apis: list[dict[str, Any]], server: PostgreSQL | None, tmp_path: Path) -> None:
    with gateway(tmp_path, apis, of(server)) as running:
        key = new_key(running)
        more = {**apis[0], "name": "later", "api_id": "later", "proxy": {**apis[0]["proxy"], "listen_path": "/later/"}}
        assert running.operator("POST", "/api/apis", {"api_definition": more, "hook_references": []})[0] == 200
        wait_until(lambda: copied(running, "later"), 30, "a copy with what was saved last")
        assert (running.folder / "gateway.db.definitions").stat().st_mode & 0o777 == 0o600
        assert running.operator("PUT", "/tyk/org/keys/off", {"is_inactive": True})[0] == 200
        assert status(running, "/owned/") == (403, "organisation-inactive")
        assert running.stop() == 0
        with away(running, server):
            running.start()
            workers = running.workers()
            assert status(running, "/free/") == status(running, "/later/") == (200, None)
            assert status(running, "/owned/") == (403, "organisation-inactive")
            assert status(running, "/keyed/open") == (200, None)
            assert status(running, "/keyed/", key) == (503, "keys-unavailable")
            assert status(running, "/nobody/") == (404, "not-found")
            assert told(running, "/health")[0] == 200
            assert told(running, "/hello")[1]["status"] == "warn"
            answered, body = told(running, "/ready")
            assert answered == 503
            assert "the copy of the definitions of 20" in body["checks"]["definitions"]
            assert running.operator("GET", "/api/apis")[0] == 503
            assert running.operator("GET", "/tyk/reload/")[0] == 503
        wait_until(lambda: told(running, "/ready")[0] == 200, 30, "the database")
        assert status(running, "/keyed/", key) == (200, None)
        assert running.operator("GET", "/api/apis")[0] == 200
        assert told(running, "/hello")[1]["status"] == "pass"
        assert running.workers() == workers
        assert "Traceback" not in running.process.text()


@pytest.mark.parametrize("damaged", [False, True])
def test_without_a_copy_every_path_is_refused_and_never_silent(
    damaged: bool, apis: list[dict[str, Any]], server: PostgreSQL | None, tmp_path: Path
) -> None:
    with gateway(tmp_path, apis, of(server)) as running:
        copy = running.folder / "gateway.db.definitions"
        wait_until(lambda: copied(running, "keyed"), 30, "a copy")
        running.stop()
        copy.unlink()
        if damaged:
            copy.write_text('{"id": "i-free"}\n')
        with away(running, server):
            running.start()
            workers = running.workers()
            for path in ("/free/", "/keyed/open", "/nobody/"):
                assert status(running, path, "some-key") == (503, "definitions-unavailable")
            assert status(running, "/") == (503, "definitions-unavailable")
            page = requests.get(f"http://127.0.0.1:{running.port}/", headers={"Accept": "text/html"}, timeout=10)
            assert (page.status_code, page.headers["Retry-After"]) == (503, "1")
            assert "Not ready yet" in page.text
            assert told(running, "/health")[0] == 200
            assert told(running, "/hello")[1]["status"] == "warn"
            answered, body = told(running, "/ready")
            assert answered == 503
            assert ("damaged" if damaged else "there is no copy") in body["checks"]["definitions"]
            assert running.workers() == workers
        wait_until(lambda: status(running, "/free/") == (200, None), 30, "the definitions")
        assert running.workers() == workers
        wait_until(lambda: copied(running, "keyed"), 30, "a copy again")


def test_it_ends_in_its_time_while_it_waits_for_the_database(
    apis: list[dict[str, Any]], own_postgresql: PostgreSQL, tmp_path: Path
) -> None:
    with gateway(tmp_path, apis, of(own_postgresql)) as running:
        running.stop()
        with away(running, own_postgresql):
            running.start()
            running.process.child.terminate()
            assert running.process.child.wait(6 + 2) == 0


def test_several_workers_do_the_same(apis: list[dict[str, Any]], own_postgresql: PostgreSQL, valkey: Valkey, tmp_path: Path) -> None:
    with gateway(tmp_path, apis, {**of(own_postgresql), "GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url}) as running:
        wait_until(lambda: copied(running, "keyed"), 30, "a copy")
        running.stop()
        with away(running, own_postgresql):
            running.start()
            wait_until(lambda: running.process.text().count("served without the database") == 2, 30, "both workers")
            workers = running.workers()
            assert {status(running, "/free/") for _ in range(20)} == {(200, None)}
        wait_until(lambda: running.process.text().count("database loaded") == 2, 30, "both workers")
        assert running.workers() == workers


def test_definitions_that_are_files_need_no_database(apis: list[dict[str, Any]], own_postgresql: PostgreSQL, tmp_path: Path) -> None:
    with gateway(tmp_path, apis, {**of(own_postgresql), "GATEWAY_SOURCE": "files"}) as running:
        key = new_key(running)
        running.stop()
        assert not (running.folder / "gateway.db.definitions").exists()
        with away(running, own_postgresql):
            running.start()
            assert status(running, "/free/") == (200, None)
            assert status(running, "/keyed/", key) == (503, "keys-unavailable")
            assert told(running, "/ready")[0] == 503
        wait_until(lambda: told(running, "/ready")[0] == 200, 30, "the database")
        assert status(running, "/keyed/", key) == (200, None)


def test_a_database_that_comes_back_as_another_is_not_used(apis: list[dict[str, Any]], tmp_path: Path) -> None:
    """It stops no worker: the copy goes on, and the operator is told."""
    with gateway(tmp_path, apis, of(None)) as running:
        file = running.folder / "gateway.db"
        wait_until(lambda: copied(running, "keyed"), 30, "a copy")
        running.stop()

        def set_to(version: str) -> str:
            with contextlib.closing(sqlite3.connect(file)) as database, database:
                (before,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
                database.execute("UPDATE alembic_version SET version_num = ?", (version,))
            return str(before)

        revision = set_to("9999")
        with locked(file, exclusive=True):
            running.start()
        wait_until(lambda: "9999" in told(running, "/ready")[1]["checks"]["definitions"], 30, "the reason")
        assert status(running, "/free/") == (200, None)
        assert running.process.text().count('"event": "database unusable"') == 1
        set_to(revision)
        wait_until(lambda: told(running, "/ready")[0] == 200, 30, "the database")
